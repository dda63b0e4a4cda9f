import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { paced } from '../../service/paced.ts'

/** Chunks of 64 KiB, whether their source was told to stop, and how many were asked for. */
function source(count: number, pause = 0) {
  const state = { made: 0, ended: false }
  async function* chunks() {
    try {
      for (let i = 0; i < count; i++) {
        if (pause > 0) await sleep(pause)
        state.made++
        yield Buffer.alloc(1 << 16)
      }
    } finally {
      state.ended = true
    }
  }
  return { state, chunks: chunks() }
}

test('who reads gets all of it', async () => {
  const { chunks, state } = source(50)
  let bytes = 0
  for await (const chunk of paced(chunks)) bytes += (chunk as Buffer).length
  expect([bytes, state.ended]).toEqual([50 << 16, true])
})

test('who does not read is not made more than a few chunks, and is over', async () => {
  const { chunks, state } = source(1000)
  const stream = paced(chunks, { grace: 50, leastRate: 2 ** 30 })
  const failed = new Promise<Error>(resolve => stream.once('error', resolve))
  stream.once('readable', () => {})
  expect((await failed).message).toBe('the answer is read too slowly')
  expect(state.made).toBeLessThan(5)
  await expect.poll(() => state.ended).toBe(true)
})

test('who reads more slowly than the least rate is over', async () => {
  const { chunks, state } = source(1000)
  const stream = paced(chunks, { grace: 50, leastRate: 2 ** 30 })
  const reading = (async () => {
    for await (const _ of stream) await sleep(20)
  })()
  await expect(reading).rejects.toThrow('the answer is read too slowly')
  expect(state.ended).toBe(true)
})

test('a source that is slow itself is waited for', async () => {
  const { chunks } = source(10, 20)
  let bytes = 0
  for await (const chunk of paced(chunks, { grace: 40, leastRate: 2 ** 30 })) bytes += (chunk as Buffer).length
  expect(bytes).toBe(10 << 16)
})
