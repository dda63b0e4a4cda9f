/**
 * `kymo support-bundle`: what a Kymo that runs tells of itself, as one archive. An archive of files, and not one document,
 * because whoever gets it looks into the log with `grep` and into the metrics with what reads metrics.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { messageOf } from '../core/errors.ts'
import { exitCodes } from '../service/process.ts'
import { AskError, download } from './admin-client.ts'
import { size } from './format.ts'
import { orTell } from './or-tell.ts'
import { tarOf } from './tar.ts'

/** Where to ask, and where to write. */
export interface BundleOptions {
  readonly admin: string
  /** A file that is not there yet, or `-`. */
  readonly out?: string | undefined
}

/** One file of the archive. */
interface BundlePart {
  readonly name: string
  readonly path: string
  readonly what: string
  /** What of the answer stands in the file; all of it, indented, if not said. */
  readonly take?: (answer: Buffer) => string
}

type Answer = Readonly<Record<string, unknown>>

const jsonOf = (answer: Buffer): Answer => JSON.parse(answer.toString('utf8')) as Answer
const whole = (answer: Buffer): string => indented(jsonOf(answer))
const indented = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const parts: readonly BundlePart[] = [
  { name: 'status.json', path: '/status', what: 'how it is: what needs somebody, components, queues, books' },
  { name: 'process.json', path: '/v1/process', what: 'Node, platform, limits; variables by name alone' },
  {
    name: 'config.yaml',
    path: '/v1/config/effective',
    what: 'the configuration that runs, with where each value came from',
    take: answer => String(jsonOf(answer)['yaml']),
  },
  { name: 'config.json', path: '/v1/config', what: 'its hash, and how the last reload went' },
  { name: 'reloads.json', path: '/v1/events?kind=reload&limit=1000', what: 'reloads: who, what, result' },
  { name: 'events.json', path: '/v1/events?limit=1000', what: 'what happened, the newest last' },
  {
    name: 'log.jsonl',
    path: '/v1/log?limit=1000',
    what: 'the last lines of the log, the newest last',
    take: answer => linesOf(jsonOf(answer)).join(''),
  },
  { name: 'metrics.txt', path: '/metrics', what: 'metrics', take: answer => answer.toString('utf8') },
  { name: 'components.json', path: '/v1/components', what: 'components with their rates' },
  { name: 'batches.json', path: '/v1/batches?limit=1000', what: 'what happened to batches, the newest first' },
  { name: 'losses.json', path: '/v1/losses?since=1h', what: 'what came in within an hour, and what became of it' },
  { name: 'queues.json', path: '/v1/queues', what: 'queues on disk' },
  { name: 'senders.json', path: '/v1/senders?limit=1000', what: 'who sends' },
  {
    name: 'refused.json',
    path: '/v1/refused',
    what: 'what was turned away, without how it begins',
    take: answer => indented(withoutBytes(jsonOf(answer))),
  },
]

/** As they were written. */
const linesOf = ({ lines }: Answer): string[] => (lines as Answer[]).map(({ line }) => `${JSON.stringify(line)}\n`)

/** Bodies are data of somebody. */
const withoutBytes = (answer: Answer): Answer => ({
  ...answer,
  refused: (answer['refused'] as Answer[]).map(row => ({ ...row, first_bytes: undefined })),
})

/** Asks for all of it and writes the archive; resolves to the exit code. */
export function supportBundle(options: BundleOptions, version: string): Promise<number> {
  const at = Date.now()
  const { admin, out = `kymo-support-${new Date(at).toISOString().replaceAll(/[-:]|\..*$/g, '')}.tar.gz` } = options
  return orTell(async () => {
    const { files, missing } = await gathered(admin)
    files.set('README.txt', Buffer.from(readme({ admin, at, version, missing })))
    const folder = new Map([...files].map(([name, content]) => [`kymo-support/${name}`, content]))
    const archive = gzipSync(tarOf(folder, at))
    if (out === '-') process.stdout.write(archive)
    else write(out, archive)
    process.stderr.write(told(out, files.size, archive.length, missing))
    return exitCodes.clean
  })
}

/** What could be had, and why the rest could not. @throws AskError when nobody answers, or nobody is let in */
async function gathered(admin: string): Promise<{ files: Map<string, Buffer>; missing: Map<string, string> }> {
  const files = new Map<string, Buffer>()
  const missing = new Map<string, string>()
  for (const { name, path, take = whole } of parts) {
    try {
      const pieces: Uint8Array[] = []
      for await (const piece of download(admin, path)) pieces.push(piece)
      files.set(name, Buffer.from(take(Buffer.concat(pieces))))
    } catch (error) {
      // Without the first of them there is no use in asking for more.
      if (!(error instanceof AskError) || files.size === 0) throw error
      missing.set(name, error.message)
    }
  }
  return { files, missing }
}

function readme(of: { admin: string; at: number; version: string; missing: ReadonlyMap<string, string> }): string {
  const { admin, at, version, missing } = of
  const there = parts.map(({ name, what }) => {
    const why = missing.get(name)
    return `  ${name.padEnd(16)}${why === undefined ? what : `MISSING: ${why}`}\n`
  })
  return `What the Kymo at ${admin} told of itself at ${new Date(at).toISOString()}, asked by kymo ${version}.

${there.join('')}
Secrets are left out: what is a secret by its key, and whatever came from variables and files. What is in it: names and
endpoints of the configuration, addresses and programs of senders, a few attributes of the resources of some batches.
`
}

/** Only for its owner, and in place of nothing that was there. */
function write(path: string, archive: Buffer): void {
  let file: number
  try {
    const { O_WRONLY, O_CREAT, O_EXCL } = constants
    file = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const what = isThere ? 'it is there already' : messageOf(error)
    throw new AskError(`cannot write ${path}: ${what}; name another file with --out, or - for standard output`, {
      cause: error,
    })
  }
  try {
    for (let at = 0; at < archive.length;) at += writeSync(file, archive, at)
  } finally {
    closeSync(file)
  }
}

function told(out: string, count: number, bytes: number, missing: ReadonlyMap<string, string>): string {
  const where = out === '-' ? 'written' : `${out} is written`
  const gone = [...missing].map(([name, why]) => `  without ${name}: ${why}\n`)
  return (
    `${where}: ${count} files, ${size(bytes)}. Secrets are left out; names, addresses and lines of the log are in it: ` +
    `look through it before you hand it on.\n${gone.join('')}`
  )
}
