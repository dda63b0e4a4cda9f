/**
 * Types, by two passes of the compiler at once: all files as `tsconfig.json` says, and what ships once more with
 * `noUncheckedIndexedAccess`, so that what stands at an index is only taken for granted where the code is about bytes.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const bytes = 'reads and writes bytes at offsets it has checked; asked at each of them it would be slower and no safer'
const numbers = 'works on typed arrays of numbers, whose lengths it has made or compared'

/** Folders and files in which an index may be taken for granted, and why. */
const exempt: ReadonlyMap<string, string> = new Map([
  ['proto/', bytes],
  ['net/', bytes],
  ['backends/', bytes],
  ['extensions/basicauth/bcrypt.ts', numbers],
  ['processors/probabilistic_sampler/threshold.ts', bytes],
  ['exporters/datadog/histograms.ts', numbers],
  ['exporters/prometheus/states.ts', numbers],
  // They are reached from configurations and scripts.
  ['test/', 'a test fails where something is missing'],
  ['bench/', 'nothing of it ships'],
])

/**
 * What the compiler says that does not stand at one of `places`, whatever it is; and the files among them of which it has
 * nothing to say.
 */
export function beyond(output: string, places: Iterable<string>): { told: string[]; idle: string[] } {
  const idle = new Set(places)
  const all = [...idle]
  const told: string[] = []
  let isTold = false
  for (const line of output.split('\n')) {
    if (line === '') continue
    // More of what the line before says is indented.
    if (!line.startsWith(' ')) {
      const [, file] = /^([^(:]+)\(\d+,\d+\): error /.exec(line) ?? []
      const place = all.find(one => file === one || (one.endsWith('/') && file?.startsWith(one)))
      if (place !== undefined) idle.delete(place)
      isTold = place === undefined
    }
    if (isTold) told.push(line)
  }
  return { told, idle: [...idle].filter(place => !place.endsWith('/')) }
}

/** One checker each: with more of them either pass takes longer, as each looks at the libraries anew. */
async function compile(...options: string[]): Promise<{ output: string; works: boolean }> {
  const root = join(import.meta.dirname, '..')
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const child = spawn(process.execPath, [compiler, '--noEmit', '--pretty', 'false', '--checkers', '1', ...options], {
    cwd: root,
  })
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  const [output, faults, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { output: output + faults, works: code === 0 || (code !== null && output !== '') }
}

if (import.meta.main) {
  const [plain, indexed] = await Promise.all([compile(), compile('--project', 'tsconfig.indexed.json')])
  const { told, idle } = beyond(indexed.output, exempt.keys())
  process.stdout.write(plain.output)
  // What both say is said once.
  for (const line of told) if (!plain.output.includes(line)) process.stdout.write(`${line}\n`)
  for (const file of idle)
    process.stdout.write(`${file} needs no exemption: take it off the list in scripts/types.ts\n`)
  const works = plain.works && indexed.works
  if (!works) process.stdout.write('the compiler ended without saying why\n')
  process.exitCode = works && plain.output === '' && told.length + idle.length === 0 ? 0 : 1
}
