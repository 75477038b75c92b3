import { defineConfig } from '@playwright/test';

// Debian's Chromium with its software GL: no browser is downloaded. CHROMIUM names another one.
export default defineConfig({
  testDir: 'tests',
  globalSetup: './tests/setup.ts',
  fullyParallel: false,
  workers: 1,
  timeout: 60_000,
  // A shared machine can stand still for longer than a test waits.
  retries: process.env.CI ? 2 : 0,
  expect: {
    timeout: 10_000,
    // Software GL differs by a shade from one version of Chromium to the next, and words by a pixel.
    toHaveScreenshot: { maxDiffPixelRatio: 0.02, threshold: 0.1, animations: 'disabled' },
  },
  snapshotPathTemplate: '{testDir}/golden/{arg}{ext}',
  reporter: [['list']],
  outputDir: process.env.VIEWER_TEST_OUT ?? 'test-results',
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--force-color-profile=srgb', '--font-render-hinting=none'],
    },
  },
});
