/** The keys every exporter shares (`timeout`, `sending_queue`, `retry_on_failure`), with the Collector's names. */
import * as z from 'zod'
import { duration, int, texts } from './fields.ts'
import { storageKey } from './storage.ts'

const sizer = z.enum(['requests', 'items', 'bytes'])

const batch = z
  .strictObject({
    flush_timeout: duration({ exclusive: true }).prefault('200ms').describe('How long a batch may wait for more.'),
    min_size: int(0).default(8192).describe('Size from which on a batch is sent, in units of `sizer`.'),
    max_size: int(0).default(0).describe('Size at which batches are split; 0 never splits.'),
    sizer: z
      .enum(['items', 'bytes'])
      .optional()
      .describe('What `min_size` and `max_size` count; items, or what the queue counts.'),
    partition: z
      .strictObject({
        metadata_keys: texts().default([]).describe('Request metadata of which each combination is batched apart.'),
      })
      .prefault({})
      .describe('What is batched apart.'),
  })
  .refine(b => b.max_size === 0 || b.max_size >= b.min_size, {
    error: '`max_size` must not be below `min_size`',
    path: ['max_size'],
  })

const queue = (enabled: boolean) =>
  z
    .strictObject({
      enabled: z.boolean().default(enabled).describe("Off: the sender waits for the destination's answer."),
      num_consumers: int(1).default(10).describe('How many batches are sent at the same time.'),
      queue_size: int(1).default(1000).describe('Room, in units of `sizer`.'),
      sizer: sizer.default('requests').describe('What `queue_size` counts: requests (batches), items or bytes.'),
      block_on_overflow: z
        .boolean()
        .default(false)
        .describe('When full, let senders wait for room instead of refusing them.'),
      wait_for_result: z.boolean().default(false).describe("Answer the sender with the destination's answer."),
      when_full: z
        .enum(['refuse', 'drop', 'spill'])
        .optional()
        .describe(
          '`refuse`: senders are asked to come again; `drop`: what finds no room is dropped and counted as queue_full; ' +
            '`spill`: what finds no room waits on disk only, as long as the storage has room, then as `refuse`. ' +
            'Without a choice: `spill` with `storage`, else `refuse`.',
        ),
      storage: z
        .string()
        .nullish()
        .describe(
          'Id of a storage extension: every batch is on disk before its sender hears success, and survives a restart.',
        )
        .meta({ reference: storageKey }),
      batch: batch
        .nullish()
        .transform(b => b ?? undefined)
        .describe('Gathers small batches into larger ones; `{}` turns it on.'),
    })
    .refine(q => q.when_full !== 'spill' || q.storage, {
      error: '`spill` needs a place to spill to: name a storage extension in `storage`',
      path: ['when_full'],
    })
    .refine(
      q =>
        !q.batch ||
        (q.batch.sizer ?? (q.sizer === 'requests' ? 'items' : q.sizer)) !== q.sizer ||
        q.batch.min_size <= q.queue_size,
      {
        error: '`min_size` must not be above `queue_size`',
        path: ['batch', 'min_size'],
      },
    )

const retry = (initial: string, longest: string) =>
  z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Off: what fails once is lost, or refused where the sender waits for the answer.'),
      initial_interval: duration().prefault(initial).describe('Wait before the first retry.'),
      randomization_factor: z.number().min(0).max(1).default(0.5).describe('Spread of each wait, as a share of it.'),
      multiplier: z.number().min(0).default(1.5).describe('Growth of the wait from one retry to the next.'),
      max_interval: duration().prefault(longest).describe('Longest wait between two retries.'),
      max_elapsed_time: duration()
        .prefault('0s')
        .describe('When to give a batch up and count it as lost; 0 never does. (The Collector gives up after 5m.)'),
    })
    .refine(
      r => !r.enabled || r.max_elapsed_time === 0 || r.max_elapsed_time >= Math.max(r.initial_interval, r.max_interval),
      {
        error: '`max_elapsed_time` must not be below `initial_interval` or `max_interval`',
        path: ['max_elapsed_time'],
      },
    )

/** The shared keys, to be spread into an exporter's schema; `defaults` are what differs between exporters. */
export const sending = (
  defaults: { timeout?: string; queue?: boolean; retry?: { initial: string; longest: string } } = {},
) => ({
  timeout: duration()
    .prefault(defaults.timeout ?? '5s')
    .describe('How long one attempt may take; 0 sets no limit.'),
  sending_queue: queue(defaults.queue ?? true)
    .prefault({})
    .describe('The queue in front of the destination.'),
  retry_on_failure: retry(defaults.retry?.initial ?? '5s', defaults.retry?.longest ?? '30s')
    .prefault({})
    .describe('Waits between attempts.'),
})

/** What `sending` parses to. */
export type SendingConfig = z.output<z.ZodObject<ReturnType<typeof sending>>>
export type QueueConfig = SendingConfig['sending_queue']
export type BatchConfig = NonNullable<QueueConfig['batch']>
export type RetryConfig = SendingConfig['retry_on_failure']
