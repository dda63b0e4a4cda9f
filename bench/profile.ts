/** A CPU profile of the bundle under load: which frames cost how much, by function and by folder. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { SourceMap, type SourceMapPayload, type SourceMapping } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'rolldown'
import rolldownConfig from '../rolldown.config.ts'
import { withKymo } from './bundle.ts'
import { findKit, grpcLoad, httpLoad, type Kit, root } from './kit.ts'
import { endChildrenWithUs, finish, start } from './processes.ts'

/** A share of the CPU time, in per cent. */
export interface Share {
  readonly name: string
  readonly share: number
}

/** What a profile says. */
export interface Profile {
  readonly frames: readonly Share[]
  readonly places: readonly Share[]
  /** What was spent in the files asked for and in all that they call, in per cent. */
  readonly within: number
  /** CPU milliseconds that were sampled. */
  readonly busy: number
}

/** What is profiled. */
export interface ProfileOptions {
  readonly payload: string
  readonly http?: boolean
  /** Another configuration than that of the comparison's main case. */
  readonly config?: string
  readonly seconds: number
  /** Requests a second; as many as it takes, unless said. */
  readonly rate?: number
  /** The files whose cost is asked for, with all that they call. */
  readonly within?: RegExp
  /** A ready bundle, instead of one that is built with a source map. */
  readonly bundle?: string
  /** Keeps the `.cpuprofile` in this folder. */
  readonly keep?: string
}

/** The form that V8 writes; times are microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly children?: readonly number[]
  }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
  readonly columnNumber: number
}

/** Profiles the bundle under the load of the comparison's main case. */
export async function profileUnderLoad(kit: Kit, options: ProfileOptions): Promise<Profile> {
  const bundle = options.bundle ?? (await buildMapped())
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'kymo-profile-'))
  const before = new Set(existsSync(folder) ? readdirSync(folder) : [])
  try {
    const node = ['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', folder]
    const { config, rate } = options
    const span = await withKymo(
      { bundle, node, ...(config === undefined ? {} : { config }) },
      async ({ grpc, http }) => {
        const target = options.http ? httpLoad(kit, options.payload, http) : grpcLoad(kit, options.payload, grpc)
        const clients = options.http ? ['-c', '8'] : ['-c', '2', '-m', '4']
        if (rate !== undefined) clients.push('--rps', String(rate / Number(clients[1])))
        const run = (seconds: number) =>
          finish(start('h2load', ['-D', String(seconds), ...clients, ...target]), 'h2load', seconds + 20)
        await run(4)
        const from = process.hrtime.bigint()
        await run(options.seconds)
        return { from: Number(from / 1000n), to: Number(process.hrtime.bigint() / 1000n) }
      },
    )
    const [file] = readdirSync(folder).filter(name => name.endsWith('.cpuprofile') && !before.has(name))
    if (file === undefined) throw new Error('Node wrote no profile; did kymo end by itself?')
    return readProfile(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile, bundle, span, options.within)
  } finally {
    if (options.keep === undefined) rmSync(folder, { recursive: true })
  }
}

/** The same bundle, beside a map that tells which file each function came from. */
export async function buildMapped(): Promise<string> {
  const file = join(root, 'dist/profiled/kymo.mjs')
  const { output, ...rest } = rolldownConfig
  await build({ ...rest, input: join(root, 'cli/main.ts'), output: { ...single(output), file, sourcemap: true } })
  return file
}

const single = <T>(value: T | T[] | undefined): T | undefined => (Array.isArray(value) ? value[0] : value)

/** Self times of what was sampled between `from` and `to` (microseconds of the system's monotonic clock). */
export function readProfile(
  profile: CpuProfile,
  bundle: string,
  { from, to }: { from: number; to: number },
  within = /^$/,
): Profile {
  const name = namer(bundle)
  const nameOf = new Map(profile.nodes.map(({ id, callFrame }) => [id, name(callFrame)]))
  const inside = new Set<number>()
  // A node stands before what it calls.
  for (const { id, children = [] } of profile.nodes) {
    if (within.test(nameOf.get(id)?.frame ?? '')) inside.add(id)
    if (inside.has(id)) for (const child of children) inside.add(child)
  }
  const frames = new Map<string, number>()
  const places = new Map<string, number>()
  let busy = 0
  let spent = 0
  let at = profile.startTime
  for (let i = 0; i < profile.samples.length; i++) {
    at += profile.timeDeltas[i]
    if (at < from || at > to) continue
    const { frame, place } = nameOf.get(profile.samples[i]) ?? { frame: '?', place: '?' }
    if (frame === '(idle)') continue
    // A sample stands for the time until the next one.
    const time = profile.timeDeltas[i + 1] ?? 0
    busy += time
    if (inside.has(profile.samples[i])) spent += time
    frames.set(frame, (frames.get(frame) ?? 0) + time)
    places.set(place, (places.get(place) ?? 0) + time)
  }
  const shares = (times: Map<string, number>): Share[] =>
    [...times].map(([name, time]) => ({ name, share: (100 * time) / busy })).sort((a, b) => b.share - a.share)
  return { frames: shares(frames), places: shares(places), within: (100 * spent) / busy, busy: busy / 1000 }
}

/** Says for a frame of the profile which function of which source file it is, and to which part that belongs. */
function namer(bundle: string): (frame: CallFrame) => { frame: string; place: string } {
  const mapFile = `${bundle}.map`
  const map = existsSync(mapFile)
    ? new SourceMap(JSON.parse(readFileSync(mapFile, 'utf8')) as SourceMapPayload)
    : undefined
  return ({ functionName, url, lineNumber, columnNumber }) => {
    if (functionName.startsWith('(')) return { frame: functionName, place: functionName }
    const name = functionName === '' ? '(anonymous)' : functionName
    if (url === '') return { frame: `${name} (native)`, place: 'Node: native functions' }
    if (url.startsWith('node:')) return { frame: `${name} ${url}`, place: `Node: ${partOfNode(url)}` }
    // A frame of code that the bundler added has no entry.
    const entry: Partial<SourceMapping> = map?.findEntry(lineNumber, columnNumber) ?? {}
    const own = url.startsWith('file:') ? fileURLToPath(url) : url
    const source = entry.originalSource?.replace(/^file:\/\//, '')
    const file = relative(root, source === undefined ? own : resolve(dirname(bundle), source))
    const module = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)
    const place = module?.[1] ?? (file.includes('/') ? `${file.split('/')[0]}/` : file)
    const line = entry.originalLine === undefined ? '' : `:${entry.originalLine + 1}`
    return { frame: `${name} ${file}${line}`, place }
  }
}

const partOfNode = (url: string) =>
  url
    .replace(/^node:/, '')
    .replace(/^internal\//, '')
    .split('/')[0]
    .replace(/^_/, '')

if (import.meta.main) {
  endChildrenWithUs()
  const { values } = parseArgs({
    options: {
      payload: { type: 'string', default: 'traces-gw' },
      http: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '8' },
      top: { type: 'string', default: '40' },
      bundle: { type: 'string' },
      config: { type: 'string' },
      keep: { type: 'string' },
    },
  })
  const { frames, places, busy } = await profileUnderLoad(findKit(), {
    payload: values.payload,
    http: values.http,
    seconds: Number(values.seconds),
    ...(values.bundle === undefined ? {} : { bundle: resolve(values.bundle) }),
    ...(values.config === undefined ? {} : { config: resolve(values.config) }),
    ...(values.keep === undefined ? {} : { keep: resolve(values.keep) }),
  })
  const print = (shares: readonly Share[]) => {
    for (const { name, share } of shares) console.log(`${share.toFixed(1).padStart(5)} %  ${name}`)
  }
  console.log(`${Math.round(busy)} ms of CPU time sampled\n`)
  print(places)
  console.log('')
  print(frames.slice(0, Number(values.top)))
}
