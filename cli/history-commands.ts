/** The commands about what a Kymo that runs has been through, and its log. */
import { occurrenceKinds } from '../core/chronicle.ts'
import { logLevels } from '../telemetry/logger.ts'
import { withAdmin } from './admin-option.ts'
import type { EventsOptions } from './events.ts'
import type { LogOptions } from './log.ts'
import type { CommandLine } from './options.ts'
import type { BundleOptions } from './support-bundle.ts'

/** Adds them. */
export function addHistoryCommands(program: CommandLine, version: string): void {
  addEvents(withAdmin(program.command('events')))
  addLog(withAdmin(program.command('log [component] [level]')))
  addBundle(withAdmin(program.command('support-bundle')), version)
}

function addEvents(command: CommandLine): void {
  command
    .description(
      'show what happened to a running Kymo: components in trouble and back, reloads, refusals, who did what',
    )
    .option('--since <time>', 'not before this time, or so long ago: 1h')
    .option('--component <id>', 'only of this component')
    .addOption(command.createOption('--kind <kind>', 'only of this kind').choices(occurrenceKinds))
    .option('--limit <n>', 'the newest so many, 1000 at most', '100')
    .option('--follow', 'go on with what happens from here on')
    .option('--json', 'as JSON; with --follow one event a line')
    .addHelpText('after', afterEvents)
    .action(async (options: EventsOptions) => {
      const { events } = await import('./events.ts')
      process.exitCode = await events(options)
    })
}

function addLog(command: CommandLine): void {
  command
    .description('show the last lines of the log of a running Kymo; or set the level of one component for a time')
    .addOption(command.createOption('--level <level>', 'only lines of this level or above').choices(logLevels))
    .option('--since <time>', 'not before this time, or so long ago: 10m')
    .option('--limit <n>', 'the newest so many, 1000 at most', '100')
    .option('--follow', 'go on with what is written from here on')
    .option('--for <duration>', 'how long LEVEL is set: 10m if not said, 24h at most')
    .option('--json', 'as JSON, one line each')
    .addHelpText('after', afterLog)
    .action(async (component: string | undefined, level: string | undefined, options: LogOptions) => {
      const { ownLog } = await import('./log.ts')
      process.exitCode = await ownLog(component, level, options)
    })
}

function addBundle(command: CommandLine, version: string): void {
  command
    .description('write what a running Kymo tells of itself into one archive, without secrets, for whoever is to help')
    .option(
      '-o, --out <file>',
      'a file that is not there yet, or - for standard output; kymo-support-TIME.tar.gz if not said',
    )
    .addHelpText('after', afterBundle)
    .action(async (options: BundleOptions) => {
      const { supportBundle } = await import('./support-bundle.ts')
      process.exitCode = await supportBundle(options, version)
    })
}

const afterEvents = `
The newest comes last. Kinds: process (starts, is ready, stops, faults), component (in trouble, and back), circuit (a destination
takes nothing, and takes data again), refusal (senders are refused for want of something, and no longer), storage, reload (who,
what, result), log (a level is changed, and given back), action (who did what through the admin server). The last thousand are
kept in memory. What happens again within ten minutes, the third time, is one line: "repeated 37 times".

Examples:
  kymo events --since 1h
  kymo events --component otlp_grpc/backend
  kymo events --kind reload --json | jq '.events[].fields'
  kymo events --follow`

const afterLog = `
COMPONENT is an id (otlp/2), a type (otlp), or a part of Kymo (service, process, reload, tap, replay, telemetry). The last
thousand lines are kept in memory, 512 KiB at most, as they were written: what the level kept out is not among them.

With LEVEL (debug, info, warn, error) that level is set for a time; then it is the configured one again, whichever that is by
then: a reload meanwhile takes effect when the time is over. LEVEL \`configured\` gives it back at once. Setting it takes what
all changes take: the token of the process where it has one.

Examples:
  kymo log --level warn --since 1h
  kymo log otlp_grpc --follow
  kymo log otlp_grpc debug --for 10m
  kymo log otlp_grpc configured`

const afterBundle = `
In it: version, Node, platform, limits of memory and process, the configuration that runs with where each value came from, status,
metrics, the journal of batches, losses of the last hour, queues, reloads, events, the last lines of the log, who sends. Secrets are not in it, nor what
came from variables and files, nor data; names, addresses and a few attributes of resources are: look through it.

Examples:
  kymo support-bundle
  kubectl exec POD -- kymo support-bundle --out - > bundle.tar.gz`
