import AxeBuilder from '@axe-core/playwright';
import { readFileSync } from 'node:fs';

import { ask, expect, open, ready, test, url } from './open';
import { HOSTILE } from './setup';

/** The colours of the drawn stage: how many, and a number that another picture changes. */
function pixels(app: Window['lossreel']): { colours: number; sum: number } {
  const gl = app.renderer!.domElement;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [gl.width, gl.height];
  const g = canvas.getContext('2d')!;
  g.drawImage(gl, 0, 0);
  const data = g.getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set<number>();
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) {
    const c = (data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!;
    seen.add(c);
    sum = (sum * 31 + c) % 1_000_000_007;
  }
  return { colours: seen.size, sum };
}

test('a page draws its surfaces without an error and without asking any host', async ({ watched: page }) => {
  await open(page, 'pair.html');
  expect((await ask(page, pixels)).colours).toBeGreaterThan(300);
  await expect(page.locator('.pane')).toHaveCount(2);
  await expect(page.getByRole('button', { name: 'Side by side' })).toHaveAttribute('aria-pressed', 'true');
  await expect(page.locator('.caption')).toContainText('Loss on 100 training images at 21 × 17 points');
});

test('dragging turns, the wheel zooms, a second button moves, and linked panes go together', async ({ watched: page }) => {
  await open(page, 'pair.html');
  const before = await ask(page, (app) => structuredClone(app.panes[1]!.cameraState()));
  const drawn = await ask(page, pixels);
  const box = (await page.locator('.area').first().boundingBox())!;
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 80, y + 30, { steps: 4 });
  await page.mouse.up();
  await page.mouse.wheel(0, -300);
  await page.mouse.down({ button: 'right' });
  await page.mouse.move(x, y, { steps: 3 });
  await page.mouse.up({ button: 'right' });
  await expect.poll(() => ask(page, (app) => app.panes[1]!.cameraState().azimuth)).not.toBe(before.azimuth);
  const after = await ask(page, (app) => structuredClone(app.panes[1]!.cameraState()));
  expect(after.elevation).toBeGreaterThan(before.elevation);
  expect(after.distance).toBeLessThan(before.distance);
  expect(after.pan).not.toEqual(before.pan);
  await expect.poll(async () => (await ask(page, pixels)).sum).not.toBe(drawn.sum);
  await page.getByLabel('Turn all together').uncheck();
  await page.locator('.area').first().focus();
  await page.keyboard.press('ArrowLeft');
  const [a, b] = await ask(page, (app) => app.panes.map((p) => p.cameraState().azimuth));
  expect(a).not.toBe(b);
});

test('the reading is the value of the grid, by mouse and by key', async ({ watched: page }) => {
  await open(page, 'one.html');
  await page.locator('.area').focus();
  await page.keyboard.press('i');
  await page.keyboard.press('Shift+L');
  const said = await page.locator('.readout').textContent();
  const wanted = await ask(page, (app) => {
    const f = app.panes[0]!.field!;
    const k = Number(document.querySelector<HTMLElement>('.readout')!.dataset.k);
    return { k, x: f.xs[k % f.nx]!, y: f.ys[Math.floor(k / f.nx)]!, value: f.values[k]!, nx: f.nx, ny: f.ny };
  });
  expect([wanted.nx, wanted.ny]).toEqual([21, 17]);
  expect(wanted.k % wanted.nx).toBe(20);
  // The grid's own file says the same.
  const cells = readFileSync(`${process.env.VIEWER_TEST_DIR}/first/surfaces/pca/cells.jsonl`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const cell = cells.find((c) => c.k === wanted.k);
  expect(Math.abs(wanted.value - cell.loss)).toBeLessThan(1e-6 * cell.loss);
  expect(said).toContain(`training loss ${Number(cell.loss.toPrecision(4))}`);
  expect(said).toContain(`training accuracy ${Number((100 * cell.correct / 100).toPrecision(4))} %`);
  expect(said).toContain('computed');
  // Where the mouse points, the reading is at the grid point that is drawn nearest.
  const box = (await page.locator('.area').boundingBox())!;
  await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.5 * box.height);
  await expect(page.locator('.readout')).not.toHaveText(said!);
  const off = await ask(page, (app) => {
    const pane = app.panes[0]!;
    const at = pane.pickPlane(0.5 * pane.area.clientWidth, 0.5 * pane.area.clientHeight)!;
    const k = Number(document.querySelector<HTMLElement>('.readout')!.dataset.k);
    const f = pane.field!;
    return [Math.abs(at[0] - f.xs[k % f.nx]!) / (f.xs[1]! - f.xs[0]!), Math.abs(at[1] - f.ys[Math.floor(k / f.nx)]!) / (f.ys[1]! - f.ys[0]!)];
  });
  expect(Math.max(...off)).toBeLessThan(0.51);
});

test('training is scrubbed, stepped and played, with the path, the charts and the facts at one moment', async ({ watched: page }) => {
  await open(page, 'pair.html');
  await expect(page.locator('.moment')).toHaveText('epoch 6, step 24');
  await page.getByLabel('Moment of training').fill('0.5');
  await expect(page.locator('.moment')).toHaveText('epoch 3, step 12');
  const head = await page.locator('.charts .head').first().getAttribute('style');
  await page.getByRole('button', { name: 'Next saved state' }).click();
  await expect(page.locator('.moment')).toHaveText('epoch 3.5, step 14');
  expect(await page.locator('.charts .head').first().getAttribute('style')).not.toBe(head);
  await page.getByText('What it rests on').click();
  await expect(page.locator('.now')).toContainText('saved state 7');
  await expect(page.locator('.now')).toContainText('% off the plane');
  await page.getByLabel('What runs are synchronised by').selectOption('step');
  await page.getByLabel('Speed').selectOption('4');
  await page.getByRole('button', { name: 'Play' }).click();
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  await expect(page.locator('.moment')).toHaveText('epoch 6, step 24', { timeout: 30_000 });
  await expect(page.getByRole('button', { name: 'Play' })).toBeVisible();
});

test('quantity, heights, cut, colours, lines and panes are switched', async ({ watched: page }) => {
  await open(page, 'pair.html');
  let last = (await ask(page, pixels)).sum;
  const changes = async (act: () => Promise<unknown>) => {
    await act();
    await expect.poll(async () => (await ask(page, pixels)).sum).not.toBe(last);
    last = (await ask(page, pixels)).sum;
  };
  await changes(() => page.getByLabel('Heights', { exact: true }).selectOption('linear'));
  await changes(() => page.getByLabel('Cut heights above').fill('0.4'));
  await changes(() => page.getByLabel('Colours').selectOption('magma'));
  await changes(() => page.getByLabel('Contour lines').uncheck());
  await changes(() => page.getByLabel('One scale for all').uncheck());
  await changes(() => page.getByLabel('Quantity').selectOption('accuracy'));
  expect(await ask(page, (app) => app.panes.map((p) => p.field!.key))).toEqual(['accuracy', 'accuracy']);
  await page.getByLabel('Surfaces side by side').selectOption('4');
  await expect(page.locator('.pane')).toHaveCount(4);
  await page.getByLabel('Surface in pane 1').selectOption({ index: 2 });
  await expect(page.getByLabel('Surface in pane 1')).toHaveValue('1.0');
});

test('a link restores the view, and a wrong one does no harm', async ({ watched: page }) => {
  await open(page, 'pair.html');
  await page.getByRole('button', { name: 'MLP' }).last().click();
  await page.locator('.area').focus();
  for (const key of ['ArrowLeft', 'ArrowUp', '+']) await page.keyboard.press(key);
  await page.getByLabel('Colours').selectOption('viridis-r');
  await page.getByLabel('Moment of training').fill('0.25');
  const link = await ask(page, (app) => app.fragment());
  await expect.poll(() => page.evaluate(() => location.hash.slice(1))).toBe(link);
  const camera = await ask(page, (app) => app.panes[0]!.cameraState());
  camera.distance = Number(camera.distance.toFixed(4));
  await page.goto('about:blank');
  await open(page, 'pair.html', link);
  expect(await ask(page, (app) => app.fragment())).toBe(link);
  expect(await ask(page, (app) => app.panes[0]!.cameraState())).toEqual(camera);
  await page.goto('about:blank');
  await open(page, 'pair.html', 'panes=99.99_x_0.0&q=%3Cscript%3E&cam=1_2&time=NaN&rules=none&ball=a_b&set=1&clock=never');
  await expect(page.locator('.pane')).toHaveCount(1);
  expect((await ask(page, pixels)).colours).toBeGreaterThan(100);
});

test('balls roll on the slice and stay on it, and the slice is said to be one', async ({ watched: page }) => {
  await open(page, 'one.html');
  await page.getByText('Drop a ball', { exact: true }).click();
  await expect(page.locator('.hint').first()).toContainText('slice');
  await page.locator('.area').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('b');
  await expect(page.locator('.balls li')).toHaveCount(3);
  await expect.poll(() => ask(page, (app) => app.panes[0]!.balls[0]!.ball.steps)).toBeGreaterThan(0);
  const found = await ask(page, (app) => {
    const pane = app.panes[0]!;
    return pane.balls.map(({ ball }) => ({
      steps: ball.steps,
      inside: ball.xs.every((x, i) => pane.field!.holds(x, ball.ys[i]!)),
      first: pane.slope()!(ball.xs[0]!, ball.ys[0]!)![0],
      last: ball.value,
    }));
  });
  for (const ball of found) expect(ball.inside).toBe(true);
  expect(found[0]!.last).toBeLessThan(found[0]!.first);
  await page.getByRole('button', { name: 'Take away' }).click();
  await expect(page.locator('.balls li')).toHaveCount(0);
});

test('on a grid point the slope of the slice is that of the smooth function through the grid', async ({ watched: page }) => {
  await open(page, 'one.html');
  const worst = await ask(page, (app) => {
    const pane = app.panes[0]!;
    const [f, slope] = [pane.field!, pane.slope()!];
    let worst = 0;
    for (let k = 0; k < f.nx * f.ny; k++) {
      const [x, y] = [f.xs[k % f.nx]!, f.ys[Math.floor(k / f.nx)]!];
      const at = slope(x, y)!;
      worst = Math.max(worst, Math.abs(at[0] - f.values[k]!) / f.values[k]!);
      const [i, j] = [k % f.nx, Math.floor(k / f.nx)];
      if (i === 0 || j === 0 || i === f.nx - 1 || j === f.ny - 1) continue;
      const h = 1e-4 * (f.xs[1]! - f.xs[0]!);
      const numeric = (slope(x + h, y)![0] - slope(x - h, y)![0]) / (2 * h);
      worst = Math.max(worst, Math.abs(numeric - at[1][0]) / (1 + Math.abs(numeric)));
    }
    return worst;
  });
  // Central differences over a kink of the second derivative.
  expect(worst).toBeLessThan(2e-3);
});

test('the functions of the sandbox are those on the grid, their gradients are right, and rules find the minimum', async ({ watched: page }) => {
  await open(page, 'functions.html');
  const found = await ask(page, (app) =>
    app.content.header.subjects.map((subject, s) => {
      app.choose(0, `${s}.0`);
      const pane = app.panes[0]!;
      const [f, slope] = [pane.field!, pane.slope()!];
      let [value, gradient] = [0, 0];
      for (let k = 0; k < f.nx * f.ny; k += 7) {
        const [i, j] = [k % f.nx, Math.floor(k / f.nx)];
        const [x, y] = [f.xs[i]!, f.ys[j]!];
        const at = slope(x, y)!;
        value = Math.max(value, Math.abs(at[0] - f.values[k]!) / (1e-3 + Math.abs(at[0])));
        if (i === 0 || j === 0 || i === f.nx - 1 || j === f.ny - 1) continue;
        const h = 1e-5;
        const dx = (slope(x + h, y)![0] - slope(x - h, y)![0]) / (2 * h);
        const dy = (slope(x, y + h)![0] - slope(x, y - h)![0]) / (2 * h);
        const size = 1 + Math.hypot(dx, dy);
        gradient = Math.max(gradient, Math.abs(dx - at[1][0]) / size, Math.abs(dy - at[1][1]) / size);
      }
      const lowest = Math.max(...subject.minima.map(([x, y]) => slope(x, y)![0]));
      return { name: subject.name, value, gradient, lowest };
    }),
  );
  expect(found.map((f) => f.name)).toEqual(['rosenbrock', 'beale', 'himmelblau', 'saddle', 'ravine', 'rotated_ravine', 'rastrigin', 'linear_regression', 'collinear_regression']);
  for (const f of found) {
    // Coordinates are in single precision.
    expect(f.value, f.name).toBeLessThan(2e-4);
    expect(f.gradient, f.name).toBeLessThan(1e-5);
    expect(f.lowest, f.name).toBeLessThan(1e-6);
  }
  const ends = await ask(page, (app) => {
    app.choose(0, '4.0');
    app.view.rules = ['gd', 'momentum', 'rmsprop', 'adam'];
    app.view.settings = { lr: 0.01, adaptiveLr: 0.02, momentum: 0.9, decay: 0.999 };
    app.panes[0]!.dropBalls([-4.5, 1], app.view.rules);
    app.panes[0]!.roll(app.settings(), 1500);
    return app.panes[0]!.balls.map(({ ball }) => ball.value);
  });
  // A constant step of RMSprop keeps it a step away: 100 x^2 / 2 of 0.02.
  expect(ends[0]).toBeLessThan(1e-6);
  expect(ends[1]).toBeLessThan(1e-6);
  expect(ends[2]).toBeLessThan(0.1);
  expect(ends[3]).toBeLessThan(1e-3);
});

test('momentum and Adam make the steps of their definitions', async ({ watched: page }) => {
  await open(page, 'functions.html');
  const [momentum, adam] = await ask(page, (app) => {
    app.choose(0, '4.0');
    const pane = app.panes[0]!;
    pane.dropBalls([-4, 1], ['momentum', 'adam']);
    pane.roll({ lr: 0.001, adaptiveLr: 0.1, momentum: 0.9, decay: 0.99 }, 2);
    return pane.balls.map(({ ball }) => [ball.xs, ball.ys]);
  });
  // f = (x^2 + 100 y^2) / 2: gradients (x, 100 y), by hand.
  const v1 = -4;
  const x1 = -4 - 0.001 * v1;
  const v2 = 0.9 * v1 + x1;
  expect(momentum![0]![1]).toBeCloseTo(x1, 12);
  expect(momentum![0]![2]).toBeCloseTo(x1 - 0.001 * v2, 12);
  // The first step of Adam is its learning rate along each axis.
  expect(adam![0]![1]).toBeCloseTo(-4 + 0.1, 6);
  expect(adam![1]![1]).toBeCloseTo(1 - 0.1, 6);
});

test('a surface that changes plays', async ({ watched: page }) => {
  await open(page, 'stack.html');
  const seen: number[] = [];
  for (const t of ['0', '0.3', '0.8', '1']) {
    await page.getByLabel('Moment of training').fill(t);
    await page.waitForTimeout(200);
    seen.push((await ask(page, pixels)).sum);
  }
  expect(new Set(seen).size).toBe(4);
  // At the end the surface is the last state.
  const worst = await ask(page, (app) => {
    const pane = app.panes[0]!;
    const last = app.content.numbers(pane.surface!.layers!.values.at(-1)!);
    const lattice = pane.field!.lattice(pane.scale!, 2)!;
    const step = (pane.field!.mx - 1) / (pane.field!.nx - 1);
    let worst = 0;
    for (let j = 0; j < pane.field!.ny; j++)
      for (let i = 0; i < pane.field!.nx; i++) {
        const drawn = 10 ** lattice[j * step * pane.field!.mx + i * step]!;
        worst = Math.max(worst, Math.abs(drawn / last[j * pane.field!.nx + i]! - 1));
      }
    return worst;
  });
  expect(worst).toBeLessThan(1e-4);
});

test('a file of the paper is read with its accuracies', async ({ watched: page }) => {
  await open(page, 'file.html');
  await page.getByLabel('Quantity').selectOption('error');
  const f = await ask(page, (app) => ({ n: app.panes[0]!.field!.values.length, most: Math.max(...app.panes[0]!.field!.values) }));
  expect(f.n).toBe(225);
  expect(f.most).toBeLessThanOrEqual(1);
  await expect(page.locator('.timeline')).toBeHidden();
});

test('names of runs are text and never markup', async ({ watched: page }) => {
  await open(page, 'hostile.html');
  await page.getByText('What it rests on').click();
  await expect(page.locator('h1')).toHaveText(HOSTILE);
  expect(await page.evaluate(() => [window.hacked, document.querySelectorAll('img').length, document.title])).toEqual([undefined, 0, HOSTILE]);
  await page.getByText('Export and link').click();
  // What a shell would take for its own is quoted.
  await page.locator('#render-command').focus();
  await expect(page.locator('#render-command')).toHaveValue(/'<img src=x onerror=alert\(1\)>'/);
});

test('everything is reached by the keyboard alone', async ({ watched: page }) => {
  await open(page, 'pair.html');
  const reached = new Set<string>();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => {
      const e = document.activeElement as HTMLElement;
      const label = (e as HTMLInputElement).labels?.[0]?.textContent;
      return label ?? e.getAttribute('aria-label') ?? e.textContent ?? '';
    });
    reached.add(name.trim().slice(0, 40));
  }
  for (const name of ['Dark', 'Present', 'Settings', 'Play', 'Moment of training', 'Surface in pane 2', 'Quantity', 'Colours', 'Drop a ball', 'Data', 'Keys']) {
    expect([...reached], name).toContain(name);
  }
  await page.locator('.area').first().focus();
  const before = await ask(page, (app) => app.fragment());
  for (const key of ['ArrowRight', 'Shift+ArrowUp', '-', 't']) {
    await page.keyboard.press(key);
    expect(await ask(page, (app) => app.fragment()), key).not.toBe(before);
  }
  await page.keyboard.press('0');
  expect(await ask(page, (app) => app.fragment())).toBe(before);
});

test('presenting fills the window, and arrow keys go through the views', async ({ watched: page }) => {
  await open(page, 'pair.html');
  await page.keyboard.press('f');
  await expect(page.locator('body')).toHaveClass(/present/);
  await expect(page.locator('.panel')).toBeHidden();
  const size = await page.evaluate(() => getComputedStyle(document.body).fontSize);
  expect(parseFloat(size)).toBeGreaterThan(18);
  const panes = await ask(page, (app) => JSON.stringify(app.view.panes));
  await page.keyboard.press('ArrowRight');
  expect(await ask(page, (app) => JSON.stringify(app.view.panes))).not.toBe(panes);
  await page.keyboard.press('ArrowLeft');
  expect(await ask(page, (app) => JSON.stringify(app.view.panes))).toBe(panes);
  await page.keyboard.press('Escape');
  await expect(page.locator('body')).not.toHaveClass(/present/);
});

/** How many colours each of the nine parts around the middle of a picture has. */
async function colorsOf(base64: string): Promise<number[]> {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const g = canvas.getContext('2d', { willReadFrequently: true })!;
  g.drawImage(image, 0, 0);
  const [w, h] = [Math.floor(image.width / 8), Math.floor(image.height / 8)];
  return [3, 4, 5].flatMap((j) =>
    [3, 4, 5].map((i) => {
      const { data } = g.getImageData(i * w - w / 2, j * h - h / 2, w, h);
      const colors = new Set<number>();
      for (let k = 0; k < data.length; k += 4) colors.add((data[k]! << 16) | (data[k + 1]! << 8) | data[k + 2]!);
      return colors.size;
    }),
  );
}

test('pictures are as large as asked for, and data leave as they are', async ({ watched: page }) => {
  await open(page, 'one.html');
  await page.getByText('Export and link').click();
  const stage = await ask(page, (app) => [app.stage.clientWidth, app.stage.clientHeight]);
  const ratio = await ask(page, (app) => app.renderer!.getPixelRatio());
  for (const factor of [1, 2, 3, 4]) {
    await page.getByLabel('Size').selectOption(String(factor));
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Picture as PNG' }).click()]);
    const png = readFileSync(await file.path());
    expect(png.readUInt32BE(16)).toBe(stage[0]! * factor);
    expect(png.readUInt32BE(20)).toBe((stage[1]! + 28) * factor);
    // All of it is drawn: every part of the surface's half has colours of the map, and the view stays as it was.
    const drawn = await page.evaluate(colorsOf, png.toString('base64'));
    expect(Math.min(...drawn), `${factor}: ${drawn}`).toBeGreaterThan(20);
    expect(await ask(page, (app) => app.renderer!.getPixelRatio())).toBe(ratio);
  }
  await page.getByText('Data', { exact: true }).click();
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Surface as CSV' }).click()]);
  const lines = readFileSync(await csv.path(), 'utf8').trim().split('\n');
  expect(lines.length).toBe(1 + 21 * 17);
  expect(lines[0]).toBe('x,y,status,loss,accuracy,error,loss_se,relative_se,difference_se');
  const [json] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'All as JSON' }).click()]);
  const all = JSON.parse(readFileSync(await json.path(), 'utf8'));
  expect(all.fields.loss.length).toBe(21 * 17);
  expect(all.paths[0].rows.length).toBe(13);
});

test('a convexity that was measured is a quantity with points of its own', async ({ watched: page }) => {
  await open(page, 'one.html');
  await page.getByLabel('Quantity').selectOption('convexity');
  const f = await ask(page, (app) => {
    const { nx, ny, xs, values } = app.panes[0]!.field!;
    const pca = app.content.numbers(app.panes[0]!.surface!.xs);
    const loss = app.content.numbers(app.panes[0]!.surface!.fields[0]!.values);
    return { nx, ny, inside: xs[0]! > pca[0]! && xs[nx - 1]! < pca[pca.length - 1]!, values: Array.from(values), loss: loss.length };
  });
  expect([f.nx, f.ny, f.inside, f.loss]).toEqual([5, 4, true, 21 * 17]);
  expect(f.values.every((v) => v >= 0 && v < 10)).toBe(true);
  await expect(page.locator('.caption')).toContainText('eigenvalue of the Hessian');
  await expect(page.locator('.caption')).toContainText('5 × 4 points');
  await page.getByText('What it rests on').click();
  await expect(page.locator('.panel')).toContainText('Convexity');
  // Its own values are read off, and no others.
  await page.locator('.area').first().focus();
  await page.keyboard.press('l');
  const k = Number(await page.locator('.readout').getAttribute('data-k'));
  await expect(page.locator('.readout')).toContainText('Hessian');
  await expect(page.locator('.readout')).not.toContainText('loss');
  expect(k).toBeLessThan(20);
  await page.getByText('Data', { exact: true }).click();
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Surface as CSV' }).click()]);
  const lines = readFileSync(await csv.path(), 'utf8').trim().split('\n');
  expect([lines.length, lines[0]]).toEqual([1 + 20, 'x,y,status,convexity']);
  await page.getByText('Export and link').click();
  await page.locator('#render-command').focus();
  await expect(page.locator('#render-command')).toHaveValue('lossreel render first --as heatmap --quantity convexity --theme light --out picture.png');
});

test('sharpness, gradient noise and overshoot that were recorded have charts with their bounds', async ({ watched: page }) => {
  await open(page, 'adam.html');
  await expect(page.locator('.charts svg .title')).toHaveText(['Loss', 'Accuracy', 'Learning rate', 'Sharpness', 'Preconditioned sharpness', 'Noise scale (images)', 'Signal to noise of a batch', 'Overshoot of a step']);
  const series = await ask(page, (app) => {
    const found = app.content.header.subjects[0]!.runs[0]!.series.filter((s) => s.quantity === 'preconditioned_sharpness');
    return found.map((s) => [s.split, Array.from(app.content.numbers(s.value)).every((v) => v > 0)]);
  });
  expect(series).toEqual([['train', true], ['bound', true]]);
  // The noise of the gradient beside the batch size, where both fit on the scale.
  const noise = page.locator('.charts .chart').nth(5);
  await expect(noise.locator('svg')).toHaveAttribute('aria-label', /noise scale, from [\d.]+ to [\d.]+; .*batch size, from 50 to 50/);
  await expect(noise.locator('path.train')).toHaveAttribute('d', /^M/);
});

test('the camera of the page is the camera of the command', async ({ watched: page }) => {
  await open(page, 'one.html', 'panes=0.0&cam=-60_40_1_0_0_0&cut=0.5&map=magma&theme=dark');
  const command = await page.evaluate(() => (document.querySelector('#render-command') as HTMLInputElement).value);
  expect(command).toMatch(/^lossreel render first --as surface --camera still --azimuth=-60 --elevation 40 --heights log --clip [\d.]+ --colormap magma --theme dark --out picture\.png$/);
});

for (const scheme of ['light', 'dark'] as const) {
  test(`axe finds nothing serious, ${scheme}`, async ({ watched: page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await open(page, 'pair.html');
    await page.evaluate(() => document.querySelectorAll('details').forEach((d) => (d.open = true)));
    const found = await new AxeBuilder({ page }).analyze();
    const serious = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
    expect(serious.map((v) => [v.id, v.nodes.map((n) => n.html).slice(0, 3)])).toEqual([]);
  });
}

test('on a phone all of it is there, one below the other, and a finger turns', async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  await page.goto(url('pair.html'));
  await ready(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect(page.getByLabel('Quantity')).toBeVisible();
  await page.evaluate(() => scrollTo(0, 0));
  const before = await ask(page, (app) => app.panes[0]!.cameraState().azimuth);
  const box = (await page.locator('.area').first().boundingBox())!;
  const client = await context.newCDPSession(page);
  const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', x?: number, y?: number) =>
    client.send('Input.dispatchTouchEvent', { type, touchPoints: x === undefined ? [] : [{ x, y: y! }] });
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await touch('touchStart', x, y);
  for (let i = 1; i <= 5; i++) await touch('touchMove', x + 12 * i, y);
  await touch('touchEnd');
  await expect.poll(() => ask(page, (app) => app.panes[0]!.cameraState().azimuth)).not.toBe(before);
  await context.close();
});

test('without WebGL the page says so, and charts, facts and data are there', async ({ watched: page }) => {
  await page.addInitScript(() => {
    const get = HTMLCanvasElement.prototype.getContext as (kind: string, ...more: unknown[]) => RenderingContext | null;
    HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...more: unknown[]) {
      return kind.startsWith('webgl') ? null : get.call(this, kind, ...more);
    } as typeof HTMLCanvasElement.prototype.getContext;
  });
  await page.goto(url('pair.html'));
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  await expect(page.getByRole('alert')).toContainText('no WebGL 2');
  await expect(page.locator('.charts svg').first()).toBeVisible();
  await page.getByText('Data', { exact: true }).click();
  await expect(page.locator('.surface-table')).toBeVisible();
});

test('a page that was cut short says what to do', async ({ page }) => {
  await page.route('**/one.html', async (route) => {
    const whole = readFileSync(`${process.env.VIEWER_TEST_DIR}/one.html`, 'utf8');
    await route.fulfill({ contentType: 'text/html', body: whole.replace(/(id="data">.{200})[^<]*/, '$1') });
  });
  await page.goto(url('one.html'));
  await expect(page.getByRole('alert')).toContainText('make it again with lossreel view');
});

for (const [name, scheme, width, height, file, fragment] of [
  ['pair-light', 'light', 1280, 800, 'pair.html', 'time=0.6'],
  ['one-dark', 'dark', 1280, 800, 'one.html', ''],
  ['sandbox-dark', 'dark', 1280, 800, 'functions.html', 'panes=2.0'],
  ['phone-light', 'light', 390, 844, 'pair.html', ''],
] as const) {
  test(`the picture of ${name} is the known one`, async ({ watched: page }) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme });
    await open(page, file, fragment);
    await page.mouse.move(0, 0);
    await expect(page).toHaveScreenshot(`${name}.png`);
  });
}
