import { expect, test } from 'vitest'
import * as z from 'zod'
import { sending } from '../../core/sending.ts'

const schema = z.strictObject(sending())
const problem = (config: object) => schema.safeParse(config).error?.issues[0]

test('without a word an exporter has the Collector’s queue and retry, but never gives data up', () => {
  expect(schema.parse({})).toEqual({
    timeout: 5000,
    sending_queue: {
      enabled: true,
      num_consumers: 10,
      queue_size: 1000,
      sizer: 'requests',
      block_on_overflow: false,
      wait_for_result: false,
    },
    retry_on_failure: {
      enabled: true,
      initial_interval: 5000,
      randomization_factor: 0.5,
      multiplier: 1.5,
      max_interval: 30_000,
      max_elapsed_time: 0,
    },
  })
})

test('what differs between exporters is a default, not a fixed value', () => {
  const other = z.strictObject(sending({ timeout: '30s', queue: false }))
  expect(other.parse({})).toMatchObject({ timeout: 30_000, sending_queue: { enabled: false } })
  expect(other.parse({ timeout: '1s', sending_queue: { enabled: true } })).toMatchObject({
    timeout: 1000,
    sending_queue: { enabled: true },
  })
})

test('null turns batching off', () => {
  expect(schema.parse({ sending_queue: { batch: null } }).sending_queue.batch).toBeUndefined()
})

test('an empty batch turns gathering on with the Collector’s defaults', () => {
  const queue = { sizer: 'items', queue_size: 10_000, batch: {} }
  expect(schema.parse({ sending_queue: queue }).sending_queue?.batch).toEqual({
    flush_timeout: 200,
    min_size: 8192,
    max_size: 0,
    partition: { metadata_keys: [] },
  })
})

test.each<[string, object, RegExp]>([
  ['no consumers', { sending_queue: { num_consumers: 0 } }, /at least 1/],
  ['an empty queue', { sending_queue: { queue_size: 0 } }, /at least 1/],
  ['an unknown sizer', { sending_queue: { sizer: 'kilos' } }, /"requests"\|"items"\|"bytes"/],
  ['an unknown way to be full', { sending_queue: { when_full: 'flee' } }, /"refuse"\|"drop"\|"spill"/],
  ['spilling to nowhere', { sending_queue: { when_full: 'spill' } }, /needs a place to spill to/],
  ['a batch that never fits', { sending_queue: { batch: { min_size: 10, max_size: 5 } } }, /must not be below/],
  [
    'a batch larger than the queue',
    { sending_queue: { sizer: 'items', queue_size: 100, batch: { min_size: 101 } } },
    /must not be above `queue_size`/,
  ],
  ['a flush timeout of nothing', { sending_queue: { batch: { flush_timeout: '0s' } } }, /more than 0ms/],
  ['a spread above 1', { retry_on_failure: { randomization_factor: 1.5 } }, /<=1/],
  [
    'giving up before the longest wait',
    { retry_on_failure: { max_interval: '30s', max_elapsed_time: '10s' } },
    /must not be below `initial_interval` or `max_interval`/,
  ],
  ['a key nobody knows', { sending_queue: { size: 5 } }, /[Uu]nrecognized key/],
])('%s is told', (_, config, message) => {
  expect(problem(config)?.message).toMatch(message)
})

test('with retry off, its times are not checked against each other', () => {
  expect(problem({ retry_on_failure: { enabled: false, max_elapsed_time: '1s' } })).toBeUndefined()
})
