/** Floods: of all that is about nothing there may be some. */
import { expect, test, vi } from 'vitest'
import { literal, settings, uint32 } from '../../attacks/frames.ts'
import { exchange, get, head } from '../../support/http2-exchange.ts'
import { frame, preface } from '../../support/http2-frames.ts'
import { EchoServer } from '../../support/http2-server.ts'
import { MemorySocket } from '../../support/memory-socket.ts'
import { until } from '../../support/until.ts'

const [DATA, RST_STREAM, PING, WINDOW_UPDATE] = [0, 3, 6, 8]
const times = (count: number, make: (i: number) => Buffer) => [
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i))),
]
test.each<[string, Buffer[], Buffer[]]>([
  [
    'streams that are ended at once',
    times(1000, i => Buffer.concat([head(2 * i + 1), frame(RST_STREAM, 0, 2 * i + 1, uint32(8))])),
    times(50, i => Buffer.concat([head(2 * i + 2001), frame(RST_STREAM, 0, 2 * i + 2001, uint32(8))])),
  ],
  [
    'streams that are wrong',
    times(1000, i => get(2 * i + 1, literal('A', ''))),
    times(50, i => get(2 * i + 2001, literal('A', ''))),
  ],
  ['settings', times(99, () => settings()), times(5, () => settings())],
  [
    'pings',
    times(14_000, () => frame(PING, 0, 0, Buffer.alloc(8))),
    times(3000, () => frame(PING, 0, 0, Buffer.alloc(8))),
  ],
  [
    'frames of unknown types',
    times(14_000, () => frame(99, 0, 0, Buffer.alloc(8))),
    times(3000, () => frame(99, 0, 0, Buffer.alloc(8))),
  ],
  [
    'windows',
    times(19_000, () => frame(WINDOW_UPDATE, 0, 0, uint32(1))),
    times(4000, () => frame(WINDOW_UPDATE, 0, 0, uint32(1))),
  ],
  ['DATA without content', [head(1), ...times(28_000, () => frame(DATA, 0, 1))], times(3000, () => frame(DATA, 0, 1))],
])('of %s there may be many, and not more', async (_what, some, more) => {
  // Time forgives; here it stands.
  const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now())
  try {
    expect(await exchange([preface(), ...some])).not.toContain('closed')
    const server = new EchoServer()
    const words = await exchange([preface(), ...some, ...more], server)
    // Whoever floods may not hear why.
    expect(words.at(-1)).toBe('closed')
    expect(server.heard).toContain('flooded')
  } finally {
    clock.mockRestore()
  }
})

test('who asks without reading the answers is ended', async () => {
  const server = new EchoServer()
  const deaf = new MemorySocket({ deaf: true })
  server.accept(deaf)
  deaf.push(preface())
  const pings = (count: number) => deaf.push(times(count, () => frame(PING, 0, 0, Buffer.alloc(8)))[0])
  pings(10)
  await until(() => expect(server.heard.filter(what => what === 'pinged')).toHaveLength(10))
  pings(995)
  await until(() => expect(server.heard.filter(what => what === 'pinged').length).toBeGreaterThan(990))
  expect(server.heard).not.toContain('flooded')
  pings(20)
  await until(() => expect(server.heard.slice(-2)).toEqual(['flooded', 'gone']))
  expect(server.budget.used).toBe(0)
})
