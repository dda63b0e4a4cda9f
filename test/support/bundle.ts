/** What processes under test run: the bundle as it ships, built once for all files. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeOptions } from '../../bench/bundle.ts'

const root = join(import.meta.dirname, '../..')

/** Where it is. One that is named there before is taken as it is. */
const variable = 'KYMO_BUNDLE'

/** Builds the bundle to `path`. */
export function buildTo(path: string): void {
  const rolldown = join(root, 'node_modules/rolldown/bin/cli.mjs')
  const args = [rolldown, '-c', 'rolldown.config.ts', '--log-level', 'warn', '--file', path]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('the bundle could not be built; `npm run build` shows why')
}

/** Before the first file; what it returns runs after the last. */
export function setup(): (() => void) | undefined {
  if (process.env[variable] !== undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'kymo-bundle-'))
  const path = join(folder, 'kymo.mjs')
  buildTo(path)
  process.env[variable] = path
  return () => {
    delete process.env[variable]
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Where the bundle is. */
export function bundle(): string {
  const path = process.env[variable]
  if (path === undefined) throw new Error(`${variable} names no bundle: see the \`globalSetup\` of the tests`)
  return path
}

/** Arguments of Node that run Kymo: what starts slowly on a busy machine would be the reading of sources. */
export const program = (): string[] => [...nodeOptions(bundle()), bundle()]
