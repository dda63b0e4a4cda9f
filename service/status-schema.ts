/**
 * What `/status` answers, as a schema: for consoles and scripts that read it. Fields are added; none is renamed or taken away.
 * Loaded by those who publish or check it, and by no process that runs.
 */
import * as z from 'zod'
import { allSignals } from '../proto/signals.ts'

const time = () => z.string().nullable().meta({ format: 'date-time' })
const count = () => z.number().int().nonnegative()
const byReason = () => z.record(z.string(), count())
const signal = z.enum(allSignals)
const kind = z.enum(['receiver', 'processor', 'exporter', 'connector', 'extension'])
const state = z
  .enum(['None', 'Starting', 'OK', 'RecoverableError', 'PermanentError', 'FatalError', 'Stopping', 'Stopped'])
  .describe('In the words of the Collector.')

const process = z.strictObject({
  name: z.literal('kymo'),
  version: z.string(),
  phase: z.enum(['created', 'starting', 'running', 'stopping', 'stopped']),
  pid: count(),
  node: z.string().describe('Version of Node.'),
  started: time(),
  uptime_seconds: z.number(),
  cpu_seconds: z.number(),
  internal_faults: count().describe('Faults of Kymo itself: please report them.'),
})

const attention = z.strictObject({
  what: z.string(),
  since: time().optional(),
  command: z.string().describe('What goes on from there.'),
})

const memory = z.strictObject({
  rss_bytes: count(),
  limit_bytes: count(),
  soft_limit_bytes: count(),
  pressed: z.boolean().describe('Over the limit: nothing new is taken.'),
  budget: z.strictObject({
    limit_bytes: z.number(),
    used_bytes: count(),
    peak_bytes: count(),
    refusals: count(),
  }),
  kept_bytes: count().describe('What components keep beside the data.'),
  kept: z.array(z.strictObject({ kind: z.string(), id: z.string(), bytes: count(), refused: count() })),
})

const component = z.strictObject({
  kind,
  id: z.string(),
  type: z.string(),
  pipeline: z.string().optional().describe('Of a processor: the pipeline this instance is in.'),
  state,
  since: time(),
  needs: z.literal('configuration').optional().describe('No outage: only a person can mend it.'),
  demand: z.string().optional().describe('What to look at, in words of the configuration.'),
  last_error: z.string().optional(),
  last_error_at: time().optional(),
})

const pipeline = z.strictObject({
  id: z.string(),
  signal,
  receivers: z.array(z.string()),
  processors: z.array(z.string()),
  exporters: z.array(z.string()),
  state: state.describe('The worst of its components.'),
  in: count(),
  out: count(),
  dropped: count(),
  lost: count(),
  held: count(),
  items_per_second: z.strictObject({ in: z.number(), out: z.number() }).describe('Over the last minute.'),
})

const queue = z.strictObject({
  exporter: z.string(),
  signal,
  size: z.number().describe('In the unit of `sending_queue.sizer`.'),
  capacity: z.number(),
  in_flight: count(),
  last_success: time(),
  next_attempt_in_seconds: z.number().nullable().describe('Null: nothing waits.'),
  full_in_seconds: z.number().nullable().describe('As things went in the last minute. Null: it does not fill.'),
  oldest_expires_in_seconds: z
    .number()
    .nullable()
    .describe('Until the first is given up for its age. Null: nothing is.'),
})

const usage = z.strictObject({ used: z.number(), limit: z.number().nullable() })

const door = z.strictObject({
  receiver: z.string(),
  transport: z.string(),
  refused_requests: z.record(z.string(), count()),
  turned_away: z.array(z.strictObject({ status: z.string(), reason: z.string(), requests: count() })),
  limits: z.record(z.string(), usage),
})

const shortage = z.strictObject({ cause: z.string(), since: time(), last: time(), requests: count() })

const storage = z.strictObject({
  id: z.string(),
  state: z.string().describe('`ok`, or why nothing more is taken: full, sick, closed, locked.'),
  error: z.string().optional(),
  room_bytes: z.number(),
  max_age_seconds: z.number(),
  full_in_seconds: z.number().nullable().describe('As things went in the last minute. Null: it does not fill.'),
})

/** A queue on disk that no exporter sends, as `/v1/queues` has it. */
const orphan = z
  .object({ storage: z.string(), owner: z.string(), records: count(), items: count(), bytes: count(), oldest: time() })
  .loose()

const books = z.strictObject({
  kind,
  id: z.string(),
  pipeline: z.string().optional(),
  signal,
  in: count(),
  created: count(),
  recovered: count(),
  out: count(),
  consumed: count(),
  delivered: count(),
  held: count(),
  dropped: byReason(),
  rejected: byReason(),
  dead_lettered: byReason(),
  lost: byReason(),
  returned: byReason(),
  refused: byReason(),
  answered: z.strictObject({ accepted: count(), rejected: count(), refused: count() }).optional(),
  attempts: count().optional(),
  failed_attempts: count().optional(),
  maybe_twice: count(),
  unaccounted: z.number().describe('Anything but 0 is a fault of Kymo.'),
})

const config = z.strictObject({
  hash: z.string(),
  since: time(),
  reloads: z.record(z.string(), count()),
  last_reload: z.looseObject({ at: time(), ok: z.boolean(), result: z.string() }).nullable(),
})

/** The whole document. */
export const statusSchema = z.strictObject({
  process,
  needs_you: z.array(attention).describe('The most pressing first; empty when all is well.'),
  lost_for_good: count().describe('Items that will never arrive, since the start.'),
  config: config.optional(),
  memory,
  components: z.array(component),
  pipelines: z.array(pipeline),
  queues: z.array(queue),
  doors: z.array(door).describe('What was turned away at each receiver.'),
  shortages: z.array(shortage).describe('For want of what senders are refused now.'),
  storages: z.array(storage),
  orphans: z.array(orphan).describe('Queues on disk that no exporter sends any more.'),
  books: z.array(books).describe('Where every item went, by component and signal, since the start.'),
  books_faults: z.array(z.string()),
})

/** The same as JSON Schema. */
export const statusJsonSchema = (): object => ({
  ...z.toJSONSchema(statusSchema),
  title: 'Status of a Kymo',
  description: 'What `/status` of the admin server answers. Fields are added; none is renamed or taken away.',
})
