/** Builds what is tested, once for all files: the bundle as it ships, to a place of its own. */
import { join } from 'node:path'
import { buildTo, scratch } from './kymo.ts'

/** Before the first file. A bundle that is named by `KYMO_FAULTS_BUNDLE` is taken as it is. */
export function setup(): void {
  if (process.env['KYMO_FAULTS_BUNDLE'] !== undefined) return
  const bundle = join(scratch('bundle'), 'kymo.mjs')
  buildTo(bundle)
  process.env['KYMO_FAULTS_BUNDLE'] = bundle
}
