// A page from `lossreel view --serve` asks its own server for new data, and nobody else.

import type { App } from './app';
import { Content } from './content';
import { el } from './dom';

const EVERY_MS = 1000;

export function follow(app: App): void {
  const badge = el('p', { class: 'live', role: 'status', text: 'live' });
  document.querySelector('.actions')?.prepend(badge);
  let tag = '';
  let lost = 0;
  const ask = async (): Promise<void> => {
    try {
      const answer = await fetch('/data', { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store' });
      lost = 0;
      if (answer.status === 200) {
        const first = tag === '';
        tag = answer.headers.get('ETag') ?? '';
        const content = await Content.unpack(new Uint8Array(await answer.arrayBuffer()));
        if (!first || JSON.stringify(content.header) !== JSON.stringify(app.content.header)) app.replace(content);
      }
    } catch {
      lost++;
    }
    const text = lost > 2 ? 'the server has ended' : 'live';
    if (badge.textContent !== text) badge.textContent = text;
    badge.classList.toggle('lost', lost > 2);
    setTimeout(() => void ask(), lost > 2 ? 5 * EVERY_MS : EVERY_MS);
  };
  void ask();
}
