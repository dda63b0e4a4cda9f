/** Says at the end of a run which backends were not there, and how many tests were skipped for that. */
import type { Reporter, TestModule } from 'vitest/node'
import { skippedMark } from './server.ts'

/** Adds up what was skipped for want of a backend: nobody shall take that for passed. */
export class SkippedBackends implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Map<string, { tests: number; files: Set<string> }>()
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const names = test.fullName.split(skippedMark)[1]?.split(']')[0].trim()
        if (names === undefined) continue
        const known = skipped.get(names) ?? { tests: 0, files: new Set() }
        known.tests++
        known.files.add(module.relativeModuleId)
        skipped.set(names, known)
      }
    }
    if (skipped.size === 0) return
    console.log('\nNOT TESTED, because these backends are not in BACKENDS_DIR/bin (see README.md):')
    for (const [names, { tests, files }] of skipped) {
      console.log(`  ${names}: ${tests} tests skipped, of ${[...files].join(', ')}`)
    }
    console.log('')
  }
}
