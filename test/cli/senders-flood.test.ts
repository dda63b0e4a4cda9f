/** Garbage from ten thousand addresses, beside a sender who is well: what is told stays small, and the counts stay exact. */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { linesPerMinute, mostDismissals } from '../../core/dismissal.ts'
import { mostSenders } from '../../core/sender.ts'
import { encodeField, encodeValue } from '../../proto/values.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const peers = 10_000
/** The second time round everybody is known, or was. */
const rounds = 2
const atOnce = 50

let running: KymoProcess
let admin = ''
let port = 0

beforeAll(async () => {
  port = await freePort()
  const config = `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
exporters: {nop: {}}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {logs: {receivers: [otlp], exporters: [nop]}}
`
  running = spawnKymo(['run', '--config', `yaml:${config}`])
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
})

afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
})

const requestOf = (body: Buffer, agent: string) =>
  Buffer.concat([
    Buffer.from(
      'POST /v1/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n' +
        `user-agent: ${agent}\r\ncontent-length: ${body.length}\r\n\r\n`,
    ),
    body,
  ])

/** Sends one request from an address of this machine, and gives the status of the answer. */
const sendFrom = (localAddress: string, request: Buffer) =>
  new Promise<number>((resolve, reject) => {
    let heard = ''
    const socket = connect({ port, host: '127.0.0.1', localAddress }, () => socket.write(request))
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')))
    socket.on('error', reject).on('close', () => resolve(Number(heard.slice(9, 12))))
  })

const record = encodeField(0x0a, encodeField(0x12, encodeField(0x12, encodeField(0x2a, encodeValue('well')))))
const sendWell = () => sendFrom('127.0.0.1', requestOf(record, 'well/1'))

interface Counts {
  readonly requests: number
  readonly answers: { readonly accepted: number; readonly rejected: number }
}

interface Told {
  readonly senders: readonly (Counts & { readonly peer: string; readonly user_agent: string })[]
  readonly known: number
  readonly gone: number
  readonly others: Counts
  readonly turned_away: readonly { readonly reason: string; readonly requests: number }[]
  readonly refused: readonly { readonly reason: string; readonly status: string; readonly requests: number }[]
  readonly unlisted: number
}

const page = async (path: string) => (await (await fetch(`${admin}${path}`)).json()) as Told

/** Bytes that the process keeps of those who send. */
async function kept(): Promise<number> {
  const status = (await (await fetch(`${admin}/status`)).json()) as {
    memory: { kept: { id: string; bytes: number }[] }
  }
  return status.memory.kept.find(({ id }) => id === 'senders')?.bytes ?? 0
}

test('ten thousand who send garbage push nobody out, fill no log, and are counted one by one', async () => {
  const bad = requestOf(Buffer.from([0x0a, 0xff, 0x01]), 'bad/1')
  expect(await sendWell()).toBe(200)
  expect(await sendFrom('127.0.0.2', requestOf(record, 'once/1'))).toBe(200)
  // Something that is rare, before what is frequent.
  expect(
    await sendFrom('127.0.0.3', Buffer.from('GET /v2/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')),
  ).toBe(404)
  const keptBytes: number[] = []
  for (let round = 0; round < rounds; round++) {
    let next = 0
    const worker = async () => {
      for (let i = next++; i < peers; i = next++) {
        expect(await sendFrom(`127.1.${i >> 8}.${i & 255}`, bad)).toBe(400)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    keptBytes.push(await kept())
  }
  expect(await sendWell()).toBe(200)

  const { senders, known, gone, others, turned_away } = await page(`/v1/senders?limit=${mostSenders}`)
  expect([known, senders.length]).toEqual([mostSenders, mostSenders])
  expect(senders.find(one => one.user_agent === 'well/1')?.answers.accepted).toBe(2)
  expect(senders.find(one => one.user_agent === 'once/1')?.answers.accepted).toBe(1)
  // Each address was a row once more in each round, but for those that still had one.
  expect(gone).toBeGreaterThan(peers)
  const all = [others, ...senders]
  expect(all.reduce((sum, { answers }) => sum + answers.rejected, 0)).toBe(peers * rounds + 1)
  expect(all.reduce((sum, { requests }) => sum + requests, 0)).toBe(peers * rounds + 4)
  expect(turned_away).toEqual([
    expect.objectContaining({ reason: 'malformed', requests: peers * rounds }),
    expect.objectContaining({ reason: 'unserved', requests: 1 }),
  ])

  const { refused, unlisted } = await page('/v1/refused')
  expect(refused).toHaveLength(mostDismissals)
  expect(refused.filter(({ reason }) => reason === 'unserved')).toHaveLength(1)
  expect(unlisted).toBeGreaterThan(0)

  // As full as the tables can be after the first round, and no fuller after the second.
  expect(keptBytes[1]).toBeLessThan(1.02 * keptBytes[0])
  expect(keptBytes[1]).toBeLessThan(1 << 20)

  const lines = running.lines().filter(({ msg }) => !/ready|listening/.test(String(msg)))
  const minutes = new Set(lines.map(({ time }) => String(time).slice(0, 16))).size
  expect(lines.length).toBeLessThanOrEqual((linesPerMinute + 1) * minutes)
}, 120_000)
