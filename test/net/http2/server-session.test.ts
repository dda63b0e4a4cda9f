/** The client of Node as an oracle: what nghttp2 packs is read, and what is answered it understands. */
import http2 from 'node:http2'
import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import type { RequestHead } from '../../../net/http2/request-head.ts'
import type { ServerStream } from '../../../net/http2/server-stream.ts'
import { get, head } from '../../support/http2-exchange.ts'
import { frame, preface } from '../../support/http2-frames.ts'
import { EchoServer } from '../../support/http2-server.ts'
import { MemorySocket } from '../../support/memory-socket.ts'

const open: (() => unknown)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function start(settings: http2.Settings = {}) {
  const server = new EchoServer()
  const client = http2.connect(`http://127.0.0.1:${await server.listen()}`, { settings })
  client.on('error', () => {})
  open.push(
    () => server.close(),
    () => client.destroy(),
  )
  return { server, client }
}

const name = fc.stringMatching(/^x-[a-z0-9]{1,12}$/)
const value = fc.stringMatching(/^(?:[!-~](?:[ -~]{0,40}[!-~])?)?$/)
test('whatever the client of Node packs, with Huffman codes and the table, is read as it was', async () => {
  const seen: RequestHead[] = []
  const { server, client } = await start()
  server.onHead = head => void seen.push(head)
  const heads = fc.uniqueArray(fc.tuple(name, value), { maxLength: 12, selector: ([name]) => name })
  await fc.assert(
    fc.asyncProperty(heads, async headers => {
      const stream = client.request({ ':path': '/', ...Object.fromEntries(headers) }).resume()
      await new Promise(resolve => stream.on('close', resolve))
      const head = seen.pop()
      for (const [name, value] of headers) expect(head?.get(name)).toBe(value)
    }),
    { numRuns: 150 },
  )
})

test('bodies of any size come and go whole, through any window and frame size', async () => {
  const body = fc.nat({ max: 300_000 }).map(size => Buffer.alloc(size, 'some text, '))
  const options = fc.record({
    initialWindowSize: fc.constantFrom(100, 65_535, 1 << 20),
    maxFrameSize: fc.constantFrom(16_384, 100_000),
    headerTableSize: fc.constantFrom(0, 4096),
  })
  await fc.assert(
    fc.asyncProperty(options, fc.array(body, { minLength: 1, maxLength: 4 }), async (settings, bodies) => {
      const { client, server } = await start(settings)
      const answers = bodies.map(async body => {
        const stream = client.request({ ':method': 'POST', ':path': '/' })
        stream.end(body)
        const parts: Buffer[] = []
        stream.on('data', (part: Buffer) => parts.push(part))
        const trailers = new Promise(resolve => stream.once('trailers', resolve))
        await new Promise(resolve => stream.once('end', resolve))
        expect(await trailers).toMatchObject({ 'x-trailer': 'end' })
        return Buffer.concat(parts)
      })
      for (const [i, answer] of (await Promise.all(answers)).entries()) {
        expect(answer.equals(bodies[i].length === 0 ? Buffer.from('nothing came') : bodies[i])).toBe(true)
      }
      server.close()
    }),
    { numRuns: 25 },
  )
})

test('who waits for a turn is charged for what waits, and then takes all that came meanwhile', async () => {
  const server = new EchoServer()
  const { budget } = server
  const enter = vi.spyOn(budget.turns, 'enter').mockReturnValue(undefined)
  const socket = new MemorySocket()
  const session = server.accept(socket)
  socket.push(preface())
  await nextTurn()
  for (let i = 0; i < 50; i++) socket.push(get(2 * i + 1))
  await nextTurn()
  expect([enter.mock.calls.length, budget.used, server.heard.length]).toEqual([1, preface().length, 0])
  let steps = 1
  while (session.next().done === false) steps++
  expect(server.heard.filter(what => what.endsWith('completed'))).toHaveLength(50)
  expect(steps).toBeLessThan(6)
  expect([budget.used, socket.isPaused()]).toEqual([0, false])
  socket.push(get(101))
  await nextTurn()
  expect(enter).toHaveBeenCalledTimes(2)
  session.destroy()
})

test('a step is short, however much came', async () => {
  const server = new EchoServer({ rules: { streams: 1000 } })
  vi.spyOn(server.budget.turns, 'enter').mockReturnValue(undefined)
  const socket = new MemorySocket()
  const session = server.accept(socket)
  socket.push(Buffer.concat([preface(), ...Array.from({ length: 500 }, (_, i) => get(2 * i + 1))]))
  await nextTurn()
  const steps: number[] = []
  for (let before = 0; session.next().done === false; before = server.bodies.size) {
    steps.push(server.bodies.size - before)
  }
  expect(steps.length).toBeGreaterThan(10)
  expect(Math.max(...steps)).toBeLessThan(50)
  session.destroy()
})

test.each([
  ['what is left is content', 5],
  ['what is left is padding', 8],
])('a stream that is ended in the middle of its DATA hears no more of it: %s', async (_, cut) => {
  const server = new EchoServer()
  const streams: ServerStream[] = []
  const wire = new MemorySocket()
  const session = server.accept(wire, stream => streams.push(stream))
  const last = frame(0, 1 | 8, 1, Buffer.from('\u0003hello\0\0\0'))
  const at = 9 + 1 + cut - 3
  wire.push(Buffer.concat([preface(), head(1), last.subarray(0, at)]))
  await nextTurn()
  session.reset(streams[0], 8)
  wire.push(last.subarray(at))
  await nextTurn()
  expect(server.heard).toEqual(['greeted', '1 opened', '1 closed'])
  session.destroy()
})
