/** Senders that hold memory without sending: what they get must stay inside the budget, and others must be served. */
import http2 from 'node:http2'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { signals } from '../../proto/signals.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { grpcSender, httpSend, receive } from '../support/receiving.ts'
import { until } from '../support/until.ts'

const mebibyte = 2 ** 20
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function victim(limit: number) {
  const budget = new Budget(limit)
  const running = await receive({ budget, grpc: { max_concurrent_streams: 1000 } })
  cleanups.push(running.stop)
  const client = grpcSender(running.grpcPort)
  cleanups.push(client.close)
  const healthy = async () => {
    const request = tracesRequest([{ spans: names('span', 500) }])
    const answers = [await client.send(request), await httpSend(running.httpPort, request)]
    return answers.map(answer => answer.status)
  }
  await healthy()
  return { ...running, budget, healthy }
}

test.each([
  ['one byte of the prefix', Buffer.from([0])],
  ['a prefix that announces 60 MiB, and one byte', Buffer.from([0, 3, 0xc0, 0, 0, 7])],
])('1,000 streams that send headers and %s stay in the budget', async (_what, bytes) => {
  const { budget, grpcPort, healthy } = await victim(256 * mebibyte)
  const before = process.memoryUsage()
  const session = http2.connect(`http://127.0.0.1:${grpcPort}`)
  session.on('error', () => {})
  cleanups.push(() => session.destroy())
  await new Promise(resolve => session.once('remoteSettings', resolve))
  for (let i = 0; i < 1000; i++) {
    const stream = session.request({
      ':method': 'POST',
      ':path': signals.traces.grpcPath,
      'content-type': 'application/grpc',
    })
    stream.on('error', () => {})
    stream.write(bytes)
  }
  await new Promise(resolve => session.ping(resolve))
  await until(() => expect(budget.used).toBeGreaterThan(1000 * 4000))
  expect(budget.used).toBeLessThanOrEqual(budget.limit / 4)
  const after = process.memoryUsage()
  expect(after.rss - before.rss).toBeLessThan(128 * mebibyte)
  expect(await healthy()).toEqual([0, 200])
  session.destroy()
  await until(() => expect(budget.used).toBe(0))
})

test('100 connections that declare 64 MiB and stall stay in the budget', async () => {
  const { budget, httpPort, healthy } = await victim(300 * mebibyte)
  const before = process.memoryUsage().rss
  const sockets: Socket[] = []
  const head = `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: ${64 * mebibyte}\r\n\r\n`
  for (let i = 0; i < 100; i++) {
    const socket = connect(httpPort, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(head)
    socket.write(Buffer.alloc(1000))
    sockets.push(socket)
  }
  // What has come of each is there.
  await until(() => expect(budget.used).toBeGreaterThan(100 * 1000))
  expect(budget.used).toBeLessThan(10 * mebibyte)
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * mebibyte)
  expect(await healthy()).toEqual([0, 200])
  for (const socket of sockets) socket.destroy()
  await until(() => expect(budget.used).toBe(0))
})

test('compression bombs on many connections stop at the limit while others are served', async () => {
  const { budget, httpPort, healthy } = await victim(300 * mebibyte)
  const bomb = gzipSync(Buffer.alloc(200 * mebibyte))
  const answers = Promise.all(
    Array.from({ length: 4 }, () => httpSend(httpPort, bomb, { headers: { 'content-encoding': 'gzip' } })),
  )
  expect(await healthy()).toEqual([0, 200])
  expect((await answers).map(answer => answer.status)).toEqual([413, 413, 413, 413])
  const sly = Buffer.from(bomb)
  sly.writeUInt32LE(1000, sly.length - 4)
  expect((await httpSend(httpPort, sly, { headers: { 'content-encoding': 'gzip' } })).status).toBe(413)
  expect(budget.peak).toBeLessThan(70 * mebibyte)
  expect(budget.used).toBe(0)
})
