/** What one input costs the process that it is sent to. */
import { request as httpRequest } from 'node:http'
import { memoryOf } from '../../bench/processes.ts'
import { signals } from '../../proto/signals.ts'
import { Caller, post, type Target } from './attack.ts'
import { compressors } from './bodies.ts'
import type { Input } from './dearest-seeds.ts'
import { message } from './frames.ts'
import { make } from './grammar.ts'
import { limitMib, longestBlock } from './limits.ts'
import type { Running } from './running.ts'
import { adminToken } from './victims.ts'

/** What was measured. */
export interface Cost {
  /** Bytes as sent, and as they are when inflated. */
  readonly sent: number
  readonly inflated: number
  /** Milliseconds for which the loop was blocked at most. */
  readonly block: number
  /** Bytes of resident memory at most, above what was there before. */
  readonly growth: number
  /** MiB resident at most. */
  readonly peak: number
  readonly answer: string
  /** Why it is a find; undefined when it is none. */
  readonly found: 'block' | 'memory' | 'end' | 'hang' | undefined
}

/** Bytes of memory that an inflated byte may take, and that any request may. */
const perByte = 64
const free = 96 * 2 ** 20
/** Milliseconds without an answer that are a hang. */
const hang = 15_000
/** Bytes that are sent at most. */
const mostSent = 16_000_000

/** The bytes that are sent. */
export function pack({ encoding, pieces, nothings, body }: Input): { sent: Buffer; inflated: number } {
  const raw = make(body)
  if (encoding === 'identity') return { sent: raw.subarray(0, mostSent), inflated: raw.length }
  const compress = compressors[encoding]
  const nothing = compress(Buffer.alloc(0))
  const each = Math.max(1, Math.ceil(raw.length / Math.max(1, pieces)))
  const parts: Buffer[] = []
  if (nothings > 0) parts.push(Buffer.alloc(Math.min(nothings * nothing.length, mostSent), nothing))
  for (let at = 0; at < raw.length || at === 0; at += each) parts.push(compress(raw.subarray(at, at + each)))
  return { sent: Buffer.concat(parts), inflated: raw.length }
}

function postConfig(port: number, body: Buffer, over: AbortSignal): Promise<string> {
  return new Promise(resolve => {
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' }
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/v1/config?dry_run=true', headers, agent: false }
    const request = httpRequest({ ...options, signal: over }, response => {
      response.resume()
      response.on('close', () => resolve(`HTTP ${response.statusCode}`))
    })
    request.on('error', error => resolve(error.message))
    request.end(body)
  })
}

async function deliver(running: Running, input: Input, sent: Buffer): Promise<string> {
  const over = AbortSignal.timeout(hang)
  const { ports, folder, config } = running
  const target: Target = { ports, folder, config, bundle: '', over, fault: () => {}, heard: () => {} }
  const { way, language, signal, encoding } = input
  const answer = async (): Promise<string> => {
    if (way === 'config') return postConfig(ports.admin, sent, over)
    if (way === 'HTTP') {
      const type = language === 'json' ? { 'content-type': 'application/json' } : {}
      const packed = encoding === 'identity' ? {} : { 'content-encoding': encoding }
      return `HTTP ${await post(target, signals[signal].path, sent, { ...type, ...packed })}`
    }
    const caller = new Caller(target)
    const compressed = encoding !== 'identity'
    const headers = compressed ? { 'grpc-encoding': encoding } : {}
    return caller.call(signal, message(sent, { compressed }), headers).finally(() => caller.close())
  }
  const heard = await Promise.race([answer(), running.child.ended.then(() => 'ended')])
  return over.aborted ? 'no answer' : heard
}

/** Sends one input and looks at what that costs. */
export async function costOf(running: Running, input: Input): Promise<Cost> {
  const { sent, inflated } = pack(input)
  const before = running.gone === undefined ? memoryOf(running.child.pid).rss : 0
  running.forget()
  const answer = await deliver(running, input, sent)
  // What the loop did in the meantime is told when it has time again.
  const told = await running.told(hang)
  const { computed: block } = running.block()
  const peak = running.peak()
  const growth = Math.max(0, peak - before) * 2 ** 20
  const figures = { sent: sent.length, inflated, block, growth, peak, answer }
  return { ...figures, found: findOf(running, figures, told) }
}

function findOf(
  running: Running,
  { inflated, block, growth, peak, answer }: Omit<Cost, 'found'>,
  told: boolean,
): Cost['found'] {
  if (running.gone !== undefined) return 'end'
  if (answer === 'no answer' || !told) return 'hang'
  if (growth > inflated * perByte + free || peak > limitMib) return 'memory'
  return block > longestBlock ? 'block' : undefined
}
