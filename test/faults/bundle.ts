/** Builds what is tested, once for all files: the bundle as it ships, to a place of its own. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildTo, scratch } from './kymo.ts'

/** Before the first file; what it returns runs after the last. A bundle that is named by `KYMO_FAULTS_BUNDLE` is taken as it is. */
export function setup(): (() => void) | undefined {
  if (process.env['KYMO_FAULTS_BUNDLE'] !== undefined) return undefined
  const folder = scratch('bundle')
  const bundle = join(folder, 'kymo.mjs')
  buildTo(bundle)
  process.env['KYMO_FAULTS_BUNDLE'] = bundle
  return () => {
    // The next file may run in the same process, and builds its own.
    delete process.env['KYMO_FAULTS_BUNDLE']
    rmSync(folder, { recursive: true, force: true })
  }
}
