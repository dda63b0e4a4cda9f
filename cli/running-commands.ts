/** The commands that ask a Kymo that runs. */
import { withAdmin } from './admin-option.ts'
import type { BatchesOptions } from './batches.ts'
import type { CommandLine } from './commands.ts'
import type { StatusOptions } from './status.ts'

/** What the table of components can be sorted by. */
const sortings = ['rate', 'queue', 'age', 'errors', 'name'] as const

/** One of these. */
export type Sorting = (typeof sortings)[number]

/** Adds them. */
export function addRunningCommands(program: CommandLine): void {
  addStatus(withAdmin(program.command('status')).option('--json', 'as JSON'))
  addBatches(withAdmin(program.command('batches [id]')).option('--json', 'as JSON'))
}

function addStatus(command: CommandLine): void {
  command
    .description('show the components of a running Kymo: state, rates, queues, what was dropped')
    .addOption(
      command
        .createOption('--sort <by>', 'what comes first; without it, the order data goes through')
        .choices(sortings),
    )
    .option('--filter <text>', 'only lines with this text in component, kind, pipeline or state')
    .addHelpText('after', afterStatus)
    .action(async (options: StatusOptions) => {
      const { status } = await import('./status.ts')
      process.exitCode = await status(options)
    })
}

function addBatches(command: CommandLine): void {
  command
    .description('find out what happened to data: batches that lost, dropped or failed anything, and some healthy ones')
    .option('--dropped', 'only what a rule dropped (short for --what dropped)')
    .option('--component <id>', 'only where something happened at this component')
    .option('--receiver <id>', 'only what this receiver took in')
    .addOption(command.createOption('--signal <signal>', 'only this signal').choices(['traces', 'metrics', 'logs']))
    .option('--what <event>', 'only where this happened: dropped, lost, rejected, attempt_failed, ...')
    .option('--reason <reason>', 'only with this reason, such as namespace_system or queue_full')
    .option('--since <time>', 'not before this time, or so long ago: 10m')
    .option('--until <time>', 'not after this time')
    .option('--limit <n>', 'at most so many', '20')
    .addHelpText('after', afterBatches)
    .action(async (id: string | undefined, options: BatchesOptions) => {
      const { batches } = await import('./batches.ts')
      process.exitCode = await batches(id, options)
    })
}

const afterStatus = `
IN/S and OUT/S are items (spans, log records, data points) per second over the last minute; OUT/S of an exporter is what
its destination took. DROPPED: by a rule of the configuration. FAILED: rejected, lost, dead-lettered, given back or refused.
QUEUE: how full. OLDEST: age of what has waited longest. P99: of the time an export takes.

Examples:
  kymo status --sort errors
  kymo status --filter exporter --json | jq '.components[].parts[].queue'`

const afterBatches = `
Examples:
  kymo batches --dropped --since 10m            what filters dropped in the last ten minutes, and what it was
  kymo batches --component otlp_grpc --what attempt_failed
  kymo batches 17                               one batch: each component, each attempt and its answer`
