/** Profiles of this process, as `go tool pprof` reads them: where CPU time goes, and what memory was allocated by. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { HeapProfiler, Profiler } from 'node:inspector'
import type { Session as Inspector } from 'node:inspector/promises'
import type { Profile as Written } from 'pprof-format'

/** What a profile is of. */
export type ProfileKind = 'cpu' | 'heap'

/** Somebody else is taking one. */
export class ProfileBusyError extends Error {
  override name = 'ProfileBusyError'

  constructor() {
    super('a profile is being taken already; ask again when it is done')
  }
}

/** Microseconds between two looks at the stack, and bytes between two looks at what allocates. */
const cpuEvery = 1000
const heapEvery = 32 * 1024

/** A place in the code. */
type Frame = Profiler.ProfileNode['callFrame']

/** Values at a stack, its innermost frame first. */
interface Stack {
  readonly frames: readonly Frame[]
  readonly values: readonly number[]
}

/** V8 has one profiler per process: one profile is taken at a time. */
let isBusy = false

/** Looks at the process until `until` resolves, and writes what was seen. @throws ProfileBusyError */
export async function profileUntil(kind: ProfileKind, until: Promise<unknown>): Promise<Buffer> {
  if (isBusy) throw new ProfileBusyError()
  isBusy = true
  try {
    const { Session } = await import('node:inspector/promises')
    const session = new Session()
    session.connect()
    try {
      return await gzipped(kind === 'cpu' ? await cpuProfile(session, until) : await heapProfile(session, until))
    } finally {
      session.disconnect()
    }
  } finally {
    isBusy = false
  }
}

async function cpuProfile(session: Inspector, until: Promise<unknown>): Promise<Written> {
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: cpuEvery })
  await session.post('Profiler.start')
  await until
  const { profile } = await session.post('Profiler.stop')
  return write({
    types: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    period: cpuEvery * 1000,
    duration: profile.endTime - profile.startTime,
    stacks: cpuStacks(profile),
  })
}

/** What was allocated meanwhile and is still there. */
async function heapProfile(session: Inspector, until: Promise<unknown>): Promise<Written> {
  await session.post('HeapProfiler.startSampling', { samplingInterval: heapEvery })
  const began = performance.now() * 1000
  await until
  const { profile } = await session.post('HeapProfiler.stopSampling')
  return write({
    types: [
      ['objects', 'count'],
      ['space', 'bytes'],
    ],
    period: heapEvery,
    duration: performance.now() * 1000 - began,
    stacks: heapStacks(profile.head),
  })
}

/** Time in which nothing was to be done is none of the CPU. */
const idle = '(idle)'

function cpuStacks({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Stack[] {
  const seen = new Map<number, { count: number; time: number }>()
  samples.forEach((id, i) => {
    const one = seen.get(id) ?? { count: 0, time: 0 }
    one.count++
    one.time += Math.max(0, timeDeltas[i] ?? 0) * 1000
    seen.set(id, one)
  })
  const byId = new Map(nodes.map(node => [node.id, node]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  return Array.from(seen, ([id, { count, time }]) => {
    const frames: Frame[] = []
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = byId.get(at)?.callFrame
      if (frame !== undefined && frame.functionName !== '(root)') frames.push(frame)
    }
    return { frames, values: [count, time] }
  }).filter(({ frames }) => frames[0]?.functionName !== idle && frames.length > 0)
}

function heapStacks(head: HeapProfiler.SamplingHeapProfileNode): Stack[] {
  const stacks: Stack[] = []
  const waiting = [{ node: head, above: [] as readonly Frame[] }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, above } = next
    const frames = node === head ? above : [node.callFrame, ...above]
    if (node.selfSize > 0 && frames.length > 0) {
      stacks.push({ frames, values: [Math.max(1, Math.round(node.selfSize / heapEvery)), node.selfSize] })
    }
    for (const child of node.children) waiting.push({ node: child, above: frames })
  }
  return stacks
}

interface Parts {
  /** Of the count and of the amount of each stack. */
  readonly types: readonly [readonly [string, string], readonly [string, string]]
  readonly period: number
  /** Microseconds. */
  readonly duration: number
  readonly stacks: readonly Stack[]
}

async function write({ types, period, duration, stacks }: Parts): Promise<Written> {
  const { Function: Code, Line, Location, Profile, Sample, StringTable, ValueType } = await import('pprof-format')
  const texts = new StringTable()
  const typeOf = ([type, unit]: readonly [string, string]) =>
    new ValueType({ type: texts.dedup(type), unit: texts.dedup(unit) })
  const codes: InstanceType<typeof Code>[] = []
  const locations: InstanceType<typeof Location>[] = []
  const known = new Map<string, number>()
  const locationOf = ({ functionName, url, lineNumber, columnNumber }: Frame): number => {
    const key = `${functionName}\0${url}\0${lineNumber}\0${columnNumber}`
    const before = known.get(key)
    if (before !== undefined) return before
    const id = known.size + 1
    known.set(key, id)
    const name = texts.dedup(functionName || '(anonymous)')
    codes.push(
      new Code({ id, name, systemName: name, filename: texts.dedup(shownFile(url)), startLine: lineNumber + 1 }),
    )
    locations.push(new Location({ id, line: [new Line({ functionId: id, line: lineNumber + 1 })] }))
    return id
  }
  const sample = stacks.map(
    ({ frames, values }) => new Sample({ locationId: frames.map(locationOf), value: [...values] }),
  )
  return new Profile({
    sampleType: types.map(typeOf),
    sample,
    location: locations,
    function: codes,
    stringTable: texts,
    timeNanos: BigInt(Date.now()) * 1_000_000n,
    durationNanos: Math.round(duration * 1000),
    periodType: typeOf(types[1]),
    period,
  })
}

/** Where our code stands on this machine is nobody's business; its own files are told from the name on. */
const shownFile = (url: string): string => url.replace(/^file:\/\/.*\/(?=[^/]*$)/, '')

async function gzipped(profile: Written): Promise<Buffer> {
  return promisify(gzip)(await profile.encodeAsync())
}
