/** `npm start`: runs the bundle, which is built first when a source is newer. Arguments after `--` go to kymo. */
import { spawnSync } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '..')
const bundle = join(root, 'dist/kymo.mjs')
const sources = [
  '{proto,core,backends,net,telemetry,receivers,processors,exporters,connectors,extensions}/**/*.ts',
  '{config,plan,pipelines,service,cli}/**/*.ts',
  'components.ts',
  'package.json',
  'package-lock.json',
  'rolldown.config.ts',
  'scripts/bundled.ts',
]

function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

const built = changed(bundle)
if (built === 0 || globSync(sources, { cwd: root }).some(path => changed(join(root, path)) > built)) {
  const rolldown = join(root, 'node_modules/rolldown/bin/cli.mjs')
  const options = ['-c', join(root, 'rolldown.config.ts'), '--log-level', 'warn']
  process.stderr.write('a source is newer than the bundle: building dist/kymo.mjs\n')
  const { status } = spawnSync(process.execPath, [rolldown, ...options], { cwd: root, stdio: ['ignore', 'ignore', 2] })
  if (status !== 0) {
    process.stderr.write('the bundle could not be built; `npm run build` shows why\n')
    process.exit(1)
  }
}

process.argv[1] = bundle
await import(pathToFileURL(bundle).href)
