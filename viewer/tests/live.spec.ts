// A served page follows its run.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ask, expect, ready } from './open';
import { test as plain } from '@playwright/test';

async function serve(folder: string): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.env.LOSSREEL_BIN!, ['view', folder, '--serve', '127.0.0.1:0', '--json'], { cwd: process.env.VIEWER_TEST_DIR! });
  const url = await new Promise<string>((found, failed) => {
    let text = '';
    server.stdout!.on('data', (part: Buffer) => {
      text += String(part);
      const url = /"url": "([^"]+)"/.exec(text);
      if (url) found(url[1]!);
    });
    server.on('exit', (code) => failed(new Error(`the server ended with ${code}`)));
  });
  return { server, url };
}

plain('new points of a surface and new saved states appear without a reload', async ({ page }) => {
  const dir = process.env.VIEWER_TEST_DIR!;
  const run = join(dir, 'growing');
  cpSync(join(dir, 'first'), run, { recursive: true });
  rmSync(join(run, 'surfaces/pca-snapshots'), { recursive: true });
  const cells = join(run, 'surfaces/pca/cells.jsonl');
  const lines = readFileSync(cells, 'utf8').trim().split('\n');
  writeFileSync(cells, `${lines.slice(0, 100).join('\n')}\n`);
  const { server, url } = await serve('growing');
  try {
    const asked: string[] = [];
    page.on('request', (r) => asked.push(r.url()));
    await page.goto(url);
    await ready(page);
    const done = () => ask(page, (app) => app.panes[0]!.field!.status.reduce((n, s) => n + (s > 0 ? 1 : 0), 0));
    expect(await done()).toBe(100);
    await page.locator('.area').focus();
    await page.keyboard.press('ArrowLeft');
    const camera = await ask(page, (app) => app.panes[0]!.cameraState());
    writeFileSync(cells, `${lines.join('\n')}\n`);
    await expect.poll(done, { timeout: 15_000 }).toBe(21 * 17);
    // The view is left as it was.
    expect(await ask(page, (app) => app.panes[0]!.cameraState())).toEqual(camera);
    expect(await ask(page, (app) => app.panes[0]!.paths[0]!.info.snapshot[1])).toBe(13);
    // Training goes on: snapshots that the plane does not know are projected onto it.
    const spec = join(run, 'spec.toml');
    writeFileSync(spec, readFileSync(spec, 'utf8').replace(/^epochs = 6$/m, 'epochs = 8'));
    execFileSync(process.env.LOSSREEL_BIN!, ['train', '--resume', 'growing', '--quiet'], { cwd: dir });
    await expect.poll(() => ask(page, (app) => app.panes[0]!.paths[0]!.info.snapshot[1]), { timeout: 20_000 }).toBeGreaterThan(13);
    expect(await ask(page, (app) => app.panes[0]!.paths[0]!.info.later)).toBeGreaterThan(0);
    expect(asked.every((u) => u.startsWith(url))).toBe(true);
  } finally {
    server.removeAllListeners('exit');
    server.kill();
    rmSync(run, { recursive: true, force: true });
  }
  await expect(page.locator('.live')).toHaveText('the server has ended', { timeout: 20_000 });
});

plain('a run without a surface is waited for', async ({ page }) => {
  const dir = process.env.VIEWER_TEST_DIR!;
  const run = join(dir, 'waiting');
  cpSync(join(dir, 'first'), run, { recursive: true });
  rmSync(join(run, 'surfaces'), { recursive: true });
  const { server, url } = await serve('waiting');
  try {
    await page.goto(url);
    await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
    await expect(page.locator('.message')).toContainText('Waiting for a surface');
    await expect(page.locator('.charts svg').first()).toBeVisible();
    cpSync(join(dir, 'first/surfaces'), join(run, 'surfaces'), { recursive: true });
    await expect.poll(() => ask(page, (app) => app.panes[0]!.field?.nx), { timeout: 15_000 }).toBe(21);
  } finally {
    server.removeAllListeners('exit');
    server.kill();
    rmSync(run, { recursive: true, force: true });
  }
});

