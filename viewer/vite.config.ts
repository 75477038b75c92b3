import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

/** The licence of what is in the bundle, at its head: it asks to go with every copy. */
function licence(): Plugin {
  return {
    name: 'licence',
    generateBundle(_, bundle) {
      const text = readFileSync(new URL('node_modules/three/LICENSE', import.meta.url), 'utf8').trim();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === 'chunk') chunk.code = `/*! This page contains three.js.\n\n${text}\n*/\n${chunk.code}`;
      }
    },
  };
}

// One script and one style sheet, which the crate embeds and puts into every page it writes. The names are
// fixed and nothing depends on the machine or the time, so that a rebuild gives the same bytes.
export default defineConfig({
  plugins: [licence()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: false,
    cssCodeSplit: false,
    lib: {
      entry: 'src/main.ts',
      formats: ['iife'],
      name: 'lossreel',
      fileName: () => 'viewer.js',
      cssFileName: 'viewer',
    },
  },
});
