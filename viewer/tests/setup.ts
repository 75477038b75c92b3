// Runs and pages for the tests, made by the built command (LOSSREEL_BIN, or the debug build) in a folder that is
// thrown away.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const HOSTILE = '</title></script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">';

function binary(): string {
  const found = process.env.LOSSREEL_BIN ?? ['debug', 'release'].map((p) => resolve(import.meta.dirname, `../../target/${p}/lossreel`)).find(existsSync);
  if (!found || !existsSync(found)) throw new Error('build lossreel first, or name it in LOSSREEL_BIN');
  return found;
}

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'lossreel-view-'));
  const lossreel = (...args: string[]) => execFileSync(binary(), [...args, '--quiet'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  process.env.VIEWER_TEST_DIR = folder;
  process.env.LOSSREEL_BIN = binary();
  const train = (out: string, seed: number, ...more: string[]) =>
    lossreel('train', '--dataset', 'digits', '--set=model.arch=mlp', '--set=data.train_samples=200', '--set=data.test_samples=100', '--set=train.batch_size=50', '--set=train.epochs=6', `--set=train.seed=${seed}`, '--set=record.every=2 steps', ...more, '--out', out);
  for (const [run, seed, size] of [
    ['first', 1, '21x17'],
    ['second', 2, '15'],
  ] as const) {
    train(run, seed);
    lossreel('plane', run);
    lossreel('surface', run, '--grid', size, '--samples', '100');
  }
  // The first has its convexity as well, at points of its own.
  lossreel('surface', 'first', '--grid', '21x17', '--samples', '100', '--convexity=5x4');
  lossreel('surface', 'first', '--stack', 'snapshots', '--layers', '3', '--grid', '9', '--samples', '50');
  train('adam', 3, '--set=optim.rule=adam', '--set=optim.lr=0.003', '--set=record.sharpness=epoch', '--set=record.sharpness_samples=50', '--set=record.gradient_noise=epoch', '--set=record.overshoot=epoch');
  lossreel('plane', 'adam');
  lossreel('surface', 'adam', '--grid', '7', '--samples', '50');
  lossreel('view', 'adam', '--out', 'adam.html');
  lossreel('export', 'second', '--to', 'h5', '--out', 'second.h5');
  lossreel('view', 'first', 'second', '--out', 'pair.html');
  lossreel('view', 'first', '--surface', 'pca', '--out', 'one.html');
  lossreel('view', 'first', '--surface', 'pca-snapshots', '--out', 'stack.html');
  lossreel('view', '--grid-file', 'second.h5', '--out', 'file.html');
  const functions = ['rosenbrock', 'beale', 'himmelblau', 'saddle', 'ravine', 'rotated_ravine', 'rastrigin', 'linear_regression', 'collinear_regression'];
  lossreel('view', ...functions.flatMap((f) => ['--function', f]), '--out', 'functions.html');
  renameSync(join(folder, 'second'), join(folder, '<img src=x onerror=alert(1)>'));
  lossreel('view', '<img src=x onerror=alert(1)>', '--title', HOSTILE, '--panel-title', HOSTILE, '--out', 'hostile.html');
  renameSync(join(folder, '<img src=x onerror=alert(1)>'), join(folder, 'second'));
  return () => rmSync(folder, { recursive: true, force: true });
}
