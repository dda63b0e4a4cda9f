import { expect, test } from 'vitest'
import { overAfter, Shortages } from '../../core/shortage.ts'
import { MovableClock } from '../support/clock.ts'
import { type Line, keepingLogger } from '../support/kymo.ts'

function made() {
  const lines: Line[] = []
  const clock = new MovableClock()
  return { clock, lines, shortages: new Shortages(clock, keepingLogger(lines)) }
}

const full = 'the queue of exporter a is full'

test('it is told when it begins, each minute with counts, and when it ends', async () => {
  const { clock, lines, shortages } = made()
  // Ten refusals a second for three and a half minutes.
  for (let i = 0; i < 2100; i++) {
    shortages.refused(full)
    await clock.advance(100)
  }
  expect(lines.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^senders are refused: the queue of exporter a is full/),
    ...Array.from({ length: 3 }, () => 'senders are still refused: the queue of exporter a is full'),
  ])
  expect(lines.slice(1).map(({ fields }) => fields['lately'])).toEqual([600, 600, 600])
  expect(shortages.list()).toMatchObject([{ cause: full, requests: 2100 }])
  await clock.advance(overAfter + 10_000)
  expect(lines.at(-1)).toMatchObject({
    level: 'info',
    message: 'senders are no longer refused: it was that the queue of exporter a is full',
    fields: { requests: 2100, seconds: 210 },
  })
  expect([shortages.list(), clock.timers]).toEqual([[], 0])
})

test('a sender that comes now and then is one story', async () => {
  const { clock, lines, shortages } = made()
  for (let i = 0; i < 5; i++) {
    shortages.refused(full)
    await clock.advance(overAfter - 5000)
  }
  expect(lines.filter(({ message }) => message.startsWith('senders are refused'))).toHaveLength(1)
})

test('causes are told apart, as long as they are few', async () => {
  const { clock, lines, shortages } = made()
  for (let i = 0; i < 1000; i++) shortages.refused(`cause ${i}`)
  expect(shortages.list().map(({ cause }) => cause)).toEqual([
    ...Array.from({ length: 5 }, (_, i) => `cause ${i}`),
    'there is no room for what they send, for further reasons',
  ])
  expect(shortages.list().reduce((sum, { requests }) => sum + requests, 0)).toBe(1000)
  expect(lines).toHaveLength(6)
  shortages.close()
  await clock.advance(120_000)
  expect([lines.length, clock.timers]).toEqual([6, 0])
})
