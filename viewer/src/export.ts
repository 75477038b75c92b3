// What leaves the page: a picture, the camera for `lossreel render`, a link, saved views.

import type { App } from './app';
import { button, download, el, field, select } from './dom';
import { capital } from './numbers';
import { fileName } from './table';

export function exportSection(app: App): Node[] {
  const size = select(
    [1, 2, 3, 4].map((n): [string, string] => [String(n), `${n} ×`]),
    '2',
    () => undefined,
  );
  size.id = 'png-size';
  const said = el('output', { class: 'said' });
  const command = el('input', { type: 'text', readonly: true, id: 'render-command', 'aria-label': 'Command for lossreel render' });
  const tell = () => (command.value = renderCommand(app));
  tell();
  command.addEventListener('focus', () => {
    tell();
    command.select();
  });
  const copy = (text: string, what: string) => {
    navigator.clipboard?.writeText(text).then(
      () => (said.textContent = `${what} copied`),
      () => (said.textContent = 'This browser does not let a page copy: mark the text and copy it'),
    );
  };
  const name = el('input', { type: 'text', id: 'view-name', placeholder: 'such as: the sharp minimum' });
  return [
    el(
      'div',
      { class: 'row' },
      field('Size', size),
      button('Picture as PNG', () => {
        said.textContent = 'drawing';
        picture(app, Number(size.value)).then(
          (blob) => {
            const pane = app.panes[0];
            download(`${pane ? fileName(pane) : 'surface'}.png`, blob);
            said.textContent = '';
          },
          (error: unknown) => (said.textContent = String(error instanceof Error ? error.message : error)),
        );
      }),
    ),
    el('div', { class: 'field' }, el('label', { for: command.id, text: 'The same view as a picture or film by lossreel' }), command),
    el(
      'div',
      { class: 'row' },
      button('Copy the command', () => {
        tell();
        copy(command.value, 'Command');
      }),
      button('Copy a link to this view', () => copy(`${location.href.split('#')[0]}#${app.fragment()}`, 'Link')),
    ),
    el(
      'div',
      { class: 'row start' },
      field('Name of this view', name),
      button('Save view', () => {
        app.saveView(name.value.trim());
        said.textContent = 'Saved in the address: copy the link to keep it';
      }),
    ),
    said,
  ];
}

/** An argument as a shell reads it. */
function quoted(argument: string): string {
  return /^[\p{L}\p{N}_@%+=:,./-]+$/u.test(argument) ? argument : `'${argument.replace(/'/g, `'\\''`)}'`;
}

/** What a heat map calls the quantities that surfaces in space are not drawn of. */
const CELL_QUANTITIES: Record<string, string> = {
  accuracy: 'accuracy',
  error: 'accuracy',
  loss_se: 'loss-se',
  relative_se: 'relative-se',
  convexity: 'convexity',
};

/** The command that draws the surfaces of the panes from the same side. */
export function renderCommand(app: App): string {
  const { view } = app;
  const subjects = app.panes.map((p) => p.subject).filter((s) => s?.render.length);
  const pane = app.panes.find((p) => p.subject?.render.length);
  if (!pane?.scale) return 'a function is drawn by: lossreel function NAME';
  if (pane.subject.origin === 'joint') {
    return ['lossreel', 'render', ...pane.subject.render, '--as', 'race', '--theme', app.theme.name, '--out', 'film.mp4'].map(quoted).join(' ');
  }
  const camera = pane.cameraState();
  const quantity = CELL_QUANTITIES[view.field];
  if (quantity && pane.subject.origin === 'run') {
    const map = ['--as', 'heatmap', '--quantity', quantity, '--theme', app.theme.name, '--out', 'picture.png'];
    return ['lossreel', 'render', ...pane.subject.render, ...(pane.surface?.render ?? []), ...map].map(quoted).join(' ');
  }
  const same = subjects.filter((s) => s.origin === pane.subject.origin);
  const parts = ['lossreel', 'render', ...new Set(same.flatMap((s) => (s.origin === 'file' ? [s.render.join('\0')] : s.render)))].flatMap((p) => p.split('\0'));
  parts.push(...(pane.surface?.render ?? []), '--as', pane.surface?.layers ? 'moving' : 'surface');
  if (pane.surface?.layers) parts.push('--view', 'space');
  const angle = (v: number) => String(Number(v.toFixed(1)));
  parts.push('--camera', 'still', `--azimuth=${angle(camera.azimuth)}`, '--elevation', angle(camera.elevation));
  parts.push('--heights', pane.scale.log ? 'log' : 'linear');
  if (view.cut < 1) parts.push('--clip', String(Number(pane.cutValue().toPrecision(4))));
  if (view.map !== 'theme') parts.push('--colormap', view.map);
  parts.push('--theme', app.theme.name, '--out', 'picture.png');
  return parts.map(quoted).join(' ');
}

/** The stage with its words, `factor` times as large. */
export async function picture(app: App, factor: number): Promise<Blob> {
  const screen = app.renderer;
  if (!screen) throw new Error('there is no WebGL to draw with');
  const [w, h] = [app.stage.clientWidth, app.stage.clientHeight];
  const gl = screen.getContext();
  const largest = Math.min(gl.getParameter(gl.MAX_RENDERBUFFER_SIZE) as number, 16_384);
  const captionHeight = 28;
  if (Math.max(w, h + captionHeight) * factor > largest) {
    throw new Error(`${factor} × is more than this browser draws: at most ${Math.floor((10 * largest) / Math.max(w, h)) / 10} ×`);
  }
  const canvas = el('canvas');
  [canvas.width, canvas.height] = [Math.round(w * factor), Math.round((h + captionHeight) * factor)];
  const g = canvas.getContext('2d')!;
  g.fillStyle = app.paper;
  g.fillRect(0, 0, canvas.width, canvas.height);
  const before = screen.getPixelRatio();
  try {
    screen.setPixelRatio(factor);
    screen.setSize(w, h, false);
    for (const pane of app.panes) pane.dress(factor);
    const areas = app.areas();
    app.drawSurfaces(screen, areas, h, factor);
    g.drawImage(screen.domElement, 0, 0);
    g.setTransform(factor, 0, 0, factor, 0, 0);
    app.drawWords(g, areas);
    const { ink } = app;
    app.panes.forEach((pane, i) => {
      const a = areas[i]!;
      g.textAlign = 'left';
      g.textBaseline = 'alphabetic';
      g.fillStyle = ink.text;
      g.font = `600 ${ink.size + 2}px ${ink.font}`;
      g.fillText(pane.subject.title, a.x + 12, a.y - 22, a.w - 24);
      g.fillStyle = ink.muted;
      g.font = `${ink.size - 1}px ${ink.font}`;
      g.fillText(capital(pane.subject.subtitle), a.x + 12, a.y - 6, a.w - 24);
    });
    g.fillStyle = ink.muted;
    g.font = `${ink.size - 2}px ${ink.font}`;
    g.fillText(document.querySelector('.caption')?.textContent ?? '', 12, h + 17, w - 24);
  } finally {
    screen.setPixelRatio(before);
    screen.setSize(w, h, false);
    for (const pane of app.panes) pane.dress(app.ratio());
    app.redraw();
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large for this browser'))), 'image/png'),
  );
}

