/** Attacks by what a body is made of: objects per byte, repeated fields, depth, names, numbers. */
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { type Attack, Caller, once, post, repeat, type Target } from './attack.ts'
import { compressors, pointShapes, type Shape, shapes } from './bodies.ts'
import { message } from './frames.ts'

/** How a body is sent. */
type Way = 'gRPC' | 'HTTP' | 'JSON'

/** What is sent as one signal. */
interface Packed {
  readonly signal: Signal
  readonly body: Buffer
}

/** Compresses the bodies; those that are alike, once. */
function pack(shape: Shape, only: readonly Signal[], way: Way): readonly Packed[] {
  const known: { raw: Buffer; packed: Buffer }[] = []
  return only.map(signal => {
    const raw = bodyOf(shape, way, signal) ?? Buffer.alloc(0)
    const same = known.find(one => one.raw.equals(raw)) ?? { raw, packed: compressors.gzip(raw) }
    known.push(same)
    return { signal, body: same.packed }
  })
}

/** Sends a body as each of the signals, a few times. */
async function sendAll(target: Target, way: Way, bodies: readonly Packed[]): Promise<void> {
  const type = way === 'JSON' ? { 'content-type': 'application/json' } : {}
  const caller = way === 'gRPC' ? new Caller(target) : undefined
  await repeat(target, Math.max(4, bodies.length * 2), 2, async i => {
    const { signal, body } = bodies[i % bodies.length]
    if (caller === undefined) await post(target, signals[signal].path, body, { 'content-encoding': 'gzip', ...type })
    else await caller.call(signal, message(body, { compressed: true }), { 'grpc-encoding': 'gzip' })
  })
  caller?.close()
}

function bodyOf({ protobuf, json }: Shape, way: Way, signal: Signal, bytes?: number): Buffer | undefined {
  return way === 'JSON' ? json?.(signal, bytes) : protobuf(signal, bytes)
}

const ofF2 = /singular|pieces|oneof/

function rowsOf(shape: Shape, only: readonly Signal[], way: Way): Attack[] {
  if (way === 'JSON' && shape.json === undefined) return []
  const bodies = once(() => pack(shape, only, way))
  return [
    {
      name: `60 MB of ${shape.what}, gzipped, over ${way}`,
      of: ofF2.test(shape.what) ? 'F2' : 'F1',
      seconds: 12,
      prepare: bodies,
      run: target => sendAll(target, way, bodies()),
    },
  ]
}

const ways: readonly Way[] = ['gRPC', 'HTTP', 'JSON']

/** The rows. */
export const bodyAttacks: readonly Attack[] = ways.flatMap(way => [
  ...shapes.flatMap(shape => rowsOf(shape, allSignals, way)),
  ...pointShapes.flatMap(shape => rowsOf(shape, ['metrics'], way)),
])
