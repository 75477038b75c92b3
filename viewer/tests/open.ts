// A page opened with its console and its network watched.

import { expect, type Page, test as base } from '@playwright/test';
import { join } from 'node:path';

export const url = (name: string, fragment = ''): string => `file://${join(process.env.VIEWER_TEST_DIR!, name)}${fragment && `#${fragment}`}`;

/** Fails a test whose page logs an error or asks any host for anything. */
export const test = base.extend<{ watched: Page }>({
  watched: async ({ page }, use) => {
    const wrong: string[] = [];
    page.on('console', (m) => {
      if (m.type() === 'error' || m.type() === 'warning') wrong.push(`${m.type()}: ${m.text()}`);
    });
    page.on('pageerror', (e) => wrong.push(`error: ${e.message}`));
    page.on('request', (r) => {
      if (!/^(file|data|blob):/.test(r.url())) wrong.push(`request: ${r.url()}`);
    });
    await use(page);
    // Chromium says of software GL that reading pixels is slow.
    expect(wrong.filter((text) => !/GPU stall due to ReadPixels/.test(text))).toEqual([]);
  },
});

export async function open(page: Page, name: string, fragment = ''): Promise<void> {
  await page.goto(url(name, fragment));
  await ready(page);
}

export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  await page.waitForFunction(() => window.lossreel.frames.length > 0);
}

/** A number of the app, by a path of JavaScript. */
export function ask<T>(page: Page, read: (app: Window['lossreel']) => T): Promise<T> {
  return page.evaluate(`(${read.toString()})(window.lossreel)`) as Promise<T>;
}

declare global {
  interface Window {
    lossreel: import('../src/app').App;
    hacked?: number;
  }
}

export { expect };
