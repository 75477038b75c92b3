// The page's start: unpack the data, see whether there is WebGL, build.

import './style.css';

import { WebGLRenderer } from 'three';

import { App } from './app';
import { Content } from './content';
import { follow } from './live';

function renderer(): WebGLRenderer | null {
  const canvas = document.createElement('canvas');
  try {
    const gl = canvas.getContext('webgl2', { antialias: true, alpha: true, preserveDrawingBuffer: true, powerPreference: 'high-performance' });
    if (!gl) return null;
    const found = new WebGLRenderer({ canvas, context: gl, antialias: true, alpha: true, preserveDrawingBuffer: true });
    found.autoClear = false;
    found.setClearAlpha(0);
    return found;
  } catch {
    return null;
  }
}

async function start(): Promise<void> {
  const packed = document.getElementById('data')?.textContent?.trim() ?? '';
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const content = await Content.unpack(bytes);
  const app = new App(content, renderer());
  (window as unknown as { lossreel: App }).lossreel = app;
  document.documentElement.dataset.ready = 'true';
  performance.mark('lossreel-ready');
  if (content.header.live) follow(app);
}

start().catch((error: unknown) => {
  const text = error instanceof Error ? error.message : String(error);
  const message = document.createElement('p');
  message.className = 'broken';
  message.setAttribute('role', 'alert');
  message.textContent = `This page cannot be shown: ${text}. It needs a browser of 2023 or later; if the file was cut short, make it again with lossreel view.`;
  document.body.append(message);
});
