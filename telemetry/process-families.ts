/** Metrics of the process as a whole: its memory, its event loop, its configuration. */
import { counter, fractional, gauge, one, type OwnFamily, total } from './family.ts'

/** See above. */
export const processFamilies: readonly OwnFamily[] = [
  one('kymo_connections', 'Connections that are open to the ports of this process.', 'sum', s => s.connections()),
  total('kymo_journal_batches_total', 'Requests that the journal began to write about.', s => s.journal.begun),
  total(
    'kymo_journal_unwritten_total',
    'Requests that a rule dropped something of, only counted because the journal writes about enough others.',
    s => s.journal.unwritten,
  ),
  one('kymo_journal_batches_kept', 'Requests that can be found in the journal now.', 'sum', s => s.journal.kept),
  counter(
    'kymo_own_telemetry_dropped_total',
    'Spans and log records about Kymo itself that nobody took in time.',
    ['signal'],
    s => Object.entries(s.untold).map(([signal, value]) => ({ labels: { signal }, value })),
  ),
  one(
    'kymo_memory_pool_idle_bytes',
    'Memory for request bodies that waits to be used again.',
    'sum',
    s => s.budget.pool.idle,
  ),
  one('kymo_memory_budget_limit_bytes', 'Memory that data in flight may take.', 'sum', s => s.budget.limit),
  one('kymo_memory_budget_used_bytes', 'Memory that data in flight takes.', 'sum', s => s.budget.used),
  one('kymo_memory_budget_peak_bytes', 'The most that data in flight ever took.', 'each', s => s.budget.peak),
  total('kymo_memory_refusals_total', 'Requests turned away for want of memory.', s => s.budget.refusals),
  one('kymo_memory_pressed', '1 while resident memory is over the limit and nothing new is taken.', 'max', s =>
    s.budget.pressed ? 1 : 0,
  ),
  one(
    'kymo_memory_limit_bytes',
    'Limit of resident memory; nothing new is taken a little below it.',
    'sum',
    s => s.memory.hard,
  ),
  one('kymo_memory_soft_limit_bytes', 'Resident memory below which taking goes on.', 'sum', s => s.memory.soft),
  fractional(
    'kymo_event_loop_utilization',
    'Share of the time in which the event loop was busy since the last scrape, 0 to 1.',
    'each',
    [],
    s => [{ labels: {}, value: s.process().eventLoopUtilization }],
  ),
  fractional(
    'kymo_event_loop_longest_block_ms',
    'Longest time in which the event loop came to nothing else since the last scrape, in milliseconds, of which up to 50 are not seen: what is told, senders waited at least. Looked at from the first scrape on, for five minutes after each.',
    'max',
    [],
    s => [{ labels: {}, value: s.process().eventLoopBlockMilliseconds }],
  ),
  total('kymo_internal_faults_total', 'Faults of Kymo itself that were caught and logged.', s => s.faults()),
  counter(
    'kymo_config_reloads_total',
    'Attempts to take over another configuration: applied, unchanged, failed (what ran goes on), superseded (by a later one before it began).',
    ['result'],
    ({ config }) => Object.entries(config?.reloads ?? {}).map(([result, value]) => ({ labels: { result }, value })),
  ),
  one(
    'kymo_config_last_reload_success',
    '1 unless the last attempt to take over a configuration failed.',
    'each',
    ({ config }) => (config?.lastWorked === false ? 0 : 1),
  ),
  gauge(
    'kymo_config_last_reload_success_seconds',
    'When the configuration was last taken over, in seconds since the epoch; at first, when the process started.',
    'each',
    [],
    ({ config }) => (config === undefined ? [] : [{ labels: {}, value: Math.floor(config.lastSuccess / 1000) }]),
  ),
  gauge(
    'kymo_config_info',
    'Always 1; the hash is of the configuration that runs, without its secrets.',
    'max',
    ['hash'],
    ({ config }) => (config === undefined ? [] : [{ labels: { hash: config.hash }, value: 1 }]),
  ),
  gauge('kymo_build_info', 'Always 1; the labels say what runs.', 'max', ['version', 'node'], s => [
    { labels: { version: s.version, node: process.versions.node }, value: 1 },
  ]),
]
