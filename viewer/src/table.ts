// The data as text: the active pane's surface and paths as tables, and as files.

import type { App } from './app';
import { button, download, el } from './dom';
import { isShare, percent, significant } from './numbers';
import type { Pane } from './pane';

/** Rows of a path, and rows and columns of a surface, that a table has at most; files have all. */
const MOST_ROWS = 200;
const MOST_CELLS = 13;

/** At most `most` of `0..n`, evenly spread, both ends among them. */
export function spread(n: number, most: number): number[] {
  if (n <= most) return Array.from({ length: n }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.floor((i * (n - 1)) / (most - 1)));
}

export function tableSection(app: App): Node[] {
  const pane = app.panes[app.active];
  if (!pane?.field || !pane.surface) return [el('p', { class: 'hint', text: 'No numbers here.' })];
  const name = fileName(pane);
  const files = el(
    'div',
    { class: 'row' },
    button('Surface as CSV', () => download(`${name}.csv`, text(surfaceCsv(app, pane), 'text/csv'))),
    pane.paths.length ? button('Path as CSV', () => download(`${name}-path.csv`, text(pathCsv(app, pane), 'text/csv'))) : null,
    button('All as JSON', () => download(`${name}.json`, text(json(app, pane), 'application/json'))),
  );
  return [files, surfaceTable(app, pane), ...pane.paths.map((_, i) => pathTable(app, pane, i))];
}

function text(content: string, type: string): Blob {
  return new Blob([content], { type: `${type};charset=utf-8` });
}

export function fileName(pane: Pane): string {
  const raw = `${pane.subject.name}-${pane.surface?.name ?? 'surface'}`;
  return raw.replace(/[^\p{L}\p{N}._-]+/gu, '_').slice(0, 80);
}

function surfaceTable(app: App, pane: Pane): HTMLElement {
  const f = pane.field!;
  const [columns, rows] = [spread(f.nx, MOST_CELLS), spread(f.ny, MOST_CELLS).reverse()];
  const show = (v: number) => (Number.isNaN(v) ? '–' : isShare(f.key) ? percent(v, 3) : significant(v, 3));
  const table = el(
    'table',
    { class: 'surface-table' },
    el('caption', { text: `${f.label} on ${f.nx} × ${f.ny} points${columns.length < f.nx || rows.length < f.ny ? `, some of them` : ''}; x to the right, y upwards` }),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col', text: 'y \\ x' }), ...columns.map((i) => el('th', { scope: 'col', text: significant(f.xs[i]!, 3) })))),
    el(
      'tbody',
      {},
      ...rows.map((j) =>
        el('tr', {}, el('th', { scope: 'row', text: significant(f.ys[j]!, 3) }), ...columns.map((i) => el('td', { text: show(f.values[j * f.nx + i]!) }))),
      ),
    ),
  );
  void app;
  return el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Values of the surface' }, table);
}

const COLUMNS = ['state', 'step', 'epoch', 'learning rate', 'x', 'y', 'off the plane', 'loss of the network', 'loss on the surface'];

function pathRow(app: App, pane: Pane, path: number, i: number): number[] {
  const { info, run } = pane.paths[path]!;
  const losses = pane.surface!.path_losses[run];
  const at = (packed: typeof info.x) => app.content.numbers(packed)[i]!;
  return [
    at(info.snapshot),
    at(info.step),
    at(info.epoch),
    at(info.lr),
    at(info.x),
    at(info.y),
    at(info.residual),
    losses ? at(losses.network) : NaN,
    losses ? at(losses.plane) : NaN,
  ];
}

function pathTable(app: App, pane: Pane, path: number): HTMLElement {
  const { info, run } = pane.paths[path]!;
  const count = info.snapshot[1];
  const rows = spread(count, MOST_ROWS);
  const cell = (v: number, c: number) => (c === 6 ? percent(v, 3) : significant(v, 4).replace('none', '–'));
  const title = `Path of ${pane.subject.runs[run]?.name ?? 'the run'}, ${count} saved states${rows.length < count ? `, ${rows.length} of them` : ''}`;
  const table = el(
    'table',
    { class: 'path-table' },
    el('caption', { text: title }),
    el('thead', {}, el('tr', {}, ...COLUMNS.map((c) => el('th', { scope: 'col', text: c })))),
    el('tbody', {}, ...rows.map((i) => el('tr', {}, ...pathRow(app, pane, path, i).map((v, c) => el(c === 0 ? 'th' : 'td', { ...(c === 0 ? { scope: 'row' } : {}), text: cell(v, c) }))))),
  );
  return el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': title }, table);
}

/** A field of a CSV file; quoted where it must be. */
function csv(value: string | number): string {
  const plain = typeof value === 'number' ? numberText(value) : value;
  return /[",\n\r]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
}

function numberText(v: number): string {
  return Number.isNaN(v) ? 'NaN' : v === Infinity ? 'inf' : v === -Infinity ? '-inf' : String(v);
}

/** One row a point: coordinates, status, every quantity. */
export function surfaceCsv(app: App, pane: Pane): string {
  const f = pane.field!;
  const fields = f.beside().map((g) => ({ key: g.key, values: app.content.numbers(g.values) }));
  const lines = [['x', 'y', 'status', ...fields.map((g) => g.key)].map(csv).join(',')];
  const status = ['not computed', 'computed', 'interpolated'];
  for (let k = 0; k < f.nx * f.ny; k++) {
    lines.push([f.xs[k % f.nx]!, f.ys[Math.floor(k / f.nx)]!, status[f.status[k]!]!, ...fields.map((g) => g.values[k]!)].map(csv).join(','));
  }
  return `${lines.join('\n')}\n`;
}

/** One row a saved state, of all paths. */
export function pathCsv(app: App, pane: Pane): string {
  const head = ['run', 'snapshot', 'step', 'epoch', 'lr', 'x', 'y', 'off_plane_residual', 'network_loss', 'plane_loss'];
  const lines = [head.join(',')];
  pane.paths.forEach((path, p) => {
    const name = pane.subject.runs[path.run]?.name ?? '';
    for (let i = 0; i < path.info.snapshot[1]; i++) lines.push([name, ...pathRow(app, pane, p, i)].map(csv).join(','));
  });
  return `${lines.join('\n')}\n`;
}

/** The active pane's subject and surface with all numbers; those that are not finite are strings. */
function json(app: App, pane: Pane): string {
  const { content } = app;
  const list = (v: ArrayLike<number>) => Array.from(v, (n) => (Number.isFinite(n) ? n : numberText(n)));
  const surface = pane.surface!;
  const plane = surface.plane === null ? null : pane.subject.planes[surface.plane]!;
  return JSON.stringify(
    {
      lossreel: content.header.version,
      subject: pane.subject.title,
      surface: surface.name,
      axes: surface.axes,
      facts: [...(plane?.facts ?? []), ...surface.facts],
      xs: list(content.numbers(surface.xs)),
      ys: list(content.numbers(surface.ys)),
      status: Array.from(content.marks(surface.status)),
      fields: Object.fromEntries(surface.fields.filter((f) => !f.grid).map((f) => [f.key, list(content.numbers(f.values))])),
      fields_at_other_points: surface.fields.flatMap(({ key, values, grid }) =>
        grid
          ? [{ key, xs: list(content.numbers(grid.xs)), ys: list(content.numbers(grid.ys)), status: Array.from(content.marks(grid.status)), values: list(content.numbers(values)) }]
          : [],
      ),
      paths: pane.paths.map((path, p) => ({
        run: pane.subject.runs[path.run]?.name,
        columns: ['snapshot', 'step', 'epoch', 'lr', 'x', 'y', 'off_plane_residual', 'network_loss', 'plane_loss'],
        rows: Array.from({ length: path.info.snapshot[1] }, (_, i) => list(pathRow(app, pane, p, i))),
      })),
      layers: surface.layers && {
        kind: surface.layers.kind,
        labels: surface.layers.labels,
        values: surface.layers.values.map((v) => list(content.numbers(v))),
      },
    },
    null,
    1,
  );
}
