/** The commands that ask a Kymo that runs. */
import { senderSortings } from '../core/sender.ts'
import { withAdmin } from './admin-option.ts'
import type { BatchesOptions } from './batches.ts'
import type { LossesOptions } from './losses.ts'
import { type CommandLine, milliseconds, sortings, tapFormats } from './options.ts'
import type { ReloadOptions } from './reload.ts'
import type { SendOptions } from './send.ts'
import type { SendersOptions } from './senders.ts'
import type { StatusOptions } from './status.ts'
import type { TapOptions } from './tap.ts'
import type { TopOptions } from './top/top.ts'

/** Adds them. */
export function addRunningCommands(program: CommandLine): void {
  addStatus(withAdmin(program.command('status')).option('--json', 'as JSON'))
  addTop(withAdmin(program.command('top')))
  addBatches(withAdmin(program.command('batches [id]')).option('--json', 'as JSON'))
  addTap(withAdmin(program.command('tap [place]')))
  addSenders(withAdmin(program.command('senders')).option('--json', 'as JSON'))
  addLosses(withAdmin(program.command('losses')).option('--json', 'as JSON'))
  addSend(withAdmin(program.command('send [pipeline]')).option('--json', 'as JSON'))
  addReload(withAdmin(program.command('reload')).option('--json', 'as JSON'))
}

const collect = (value: string, before: string[] = []): string[] => [...before, value]

function addSend(command: CommandLine): void {
  command
    .description('send one test item through a pipeline of a running Kymo, and tell what each component did with it')
    .addOption(
      command.createOption('--attribute <key=value>', 'an attribute of the item; repeatable').argParser(collect),
    )
    .addOption(command.createOption('--resource <key=value>', 'one of its resource; repeatable').argParser(collect))
    .option('--body <text>', 'of a log record')
    .option('--name <name>', 'of a span or metric')
    .option('--value <n>', 'of a gauge; 1 if not said')
    .addOption(
      command
        .createOption('--timeout <duration>', 'how long it is followed')
        .argParser(milliseconds)
        .default(10_000, '10s'),
    )
    .addHelpText('after', afterSend)
    .action(async (pipeline: string | undefined, options: SendOptions) => {
      const { send } = await import('./send.ts')
      process.exitCode = await send(pipeline, options)
    })
}

function addReload(command: CommandLine): void {
  command
    .description(
      'have a running Kymo read its configuration again and take it over; tell what that changed, or why not',
    )
    .option('--dry-run', 'only tell what it would change')
    .addOption(
      command
        .createOption('-c, --config <source>', 'a configuration that says where its admin server is; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      command
        .createOption('-s, --set <key=value>', 'sets one value over all files of --config; repeatable')
        .argParser(collect)
        .default([], 'nothing'),
    )
    .addHelpText('after', afterReload)
    .action(async (options: ReloadOptions) => {
      const { reload } = await import('./reload.ts')
      process.exitCode = await reload(options, command.getOptionValueSource('admin') === 'cli')
    })
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
    .option('--watch [seconds]', 'show it again and again, every 2 seconds if not said')
    .option('--schema', 'print the JSON Schema of what `/status` answers, and ask nobody')
    .addHelpText('after', afterStatus)
    .action(async (options: StatusOptions) => {
      if (options.schema === true) {
        const { statusJsonSchema } = await import('../service/status-schema.ts')
        process.stdout.write(`${JSON.stringify(statusJsonSchema(), null, 2)}\n`)
        return
      }
      const { status } = await import('./status.ts')
      process.exitCode = await status(options)
    })
}

function addTop(command: CommandLine): void {
  command
    .description('the same in a terminal, kept up to date: what needs you, pipelines, exporters; keys for what is next')
    .option('--every <seconds>', 'from one look to the next', '2')
    .addHelpText('after', afterTop)
    .action(async (options: TopOptions) => {
      const { top } = await import('./top/top.ts')
      process.exitCode = await top(options)
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

function addTap(command: CommandLine): void {
  command
    .description('look at live data before or after a component, or at what a processor changes; nothing waits for it')
    .option('--in', 'what the component is handed')
    .option('--out', 'what comes out of it')
    .option('--pipeline <id>', 'only in this pipeline, where a component is in several')
    .addOption(
      command
        .createOption(
          '--where <key=value>',
          'only items with this attribute, or whose scope or resource has it; repeatable',
        )
        .argParser(collect),
    )
    .option('--trace <id>', 'only items of this trace: 32 hexadecimal digits')
    .option('--limit <n>', 'end after so many items')
    .option('--rate <n>', 'items a second, 100 at most', '10')
    .option('--for <duration>', 'end after this time, 10m at most', '30s')
    .addOption(command.createOption('--format <format>', 'how to write').choices(tapFormats).default('text'))
    .addHelpText('after', afterTap)
    .action(async (place: string | undefined, options: TapOptions) => {
      const { tap } = await import('./tap.ts')
      process.exitCode = await tap(place, options)
    })
}

const afterTap = `
PLACE is a component (\`resource\`, \`otlp/2\`) or a pipeline (\`traces\`); without it, all that exporters are given.
Of a processor without --in and --out it shows what that changes: - before, + after. Of receivers there is what comes out,
of exporters what they are given. Of a pipeline without a side, what comes out of it.

It shows a few items a second, never all, and each up to 64 KiB. Formats: text for people; json, one line per item with where
it was seen; otlp, one line per item that is a whole OTLP/JSON request. What is told beside items goes to standard error.

Data itself is shown, so it takes what writing takes: the token of the process where it has one (KYMO_ADMIN_TOKEN, or
KYMO_ADMIN_TOKEN_FILE). What a \`redaction\` still has to redact is not shown; \`kymo run --admin-tap off\` shows nothing at all.

Examples:
  kymo tap                                            what is sent, wherever it goes
  kymo tap otlp --out --where service.name=checkout   what comes in from one service
  kymo tap resource                                   what that processor changes
  kymo tap traces --in --trace 4bf92f3577b34da6a3ce929d0e0e4736 --for 5m
  kymo tap logs --limit 1 --format otlp | curl -sS -H 'content-type: application/json' --data-binary @- localhost:4318/v1/logs`

function addSenders(command: CommandLine): void {
  command
    .description(
      'show who sends: addresses, programs, rates, what they were answered; or what was turned away, and why',
    )
    .option('--refused', 'the last requests and connections that were turned away: who, what, why')
    .option('--receiver <id>', 'only at this receiver')
    .option('--transport <name>', 'only over this: grpc, http')
    .option('--peer <address>', 'only from this address')
    .option('--reason <reason>', 'with --refused: only for this reason, such as malformed or queue_full')
    .addOption(command.createOption('--sort <by>', 'what comes first; items without it').choices(senderSortings))
    .option('--limit <n>', 'at most so many', '50')
    .addHelpText('after', afterSenders)
    .action(async (options: SendersOptions) => {
      const { senders } = await import('./senders.ts')
      process.exitCode = await senders(options)
    })
}

function addLosses(command: CommandLine): void {
  command
    .description('tell what came in and what became of it: was anything lost, how much, where, why and whose')
    .option('--since <time>', 'not before this time, or so long ago', '15m')
    .option(
      '--by <what>',
      'reason, component, receiver, signal, namespace, service or any resource attribute; without it component and reason',
    )
    .addHelpText('after', afterLosses)
    .action(async (options: LossesOptions) => {
      const { losses } = await import('./losses.ts')
      process.exitCode = await losses(options)
    })
}

const afterSend = `
PIPELINE may be left out where there is one. The item is one span, log record or gauge point with the attribute kymo.test.id, a
random id to look for at the destination, and service.name=kymo-send unless --resource says otherwise. It is real data: every
destination of the pipeline gets it, and it is counted as what receiver \`send\` took in. One a second at most.

It takes what all changes take: the token of the process where it has one. It is told in \`kymo events\`.

Exit codes:
  0  every destination has it
  1  not, or not yet: dropped by a rule, refused, rejected, or still on its way; or it could not be sent

Examples:
  kymo send
  kymo send logs --resource k8s.namespace.name=shop --body 'does this arrive?'
  kymo send metrics --name shop.orders --value 3 --timeout 30s
  kymo send traces --json | jq '.steps[] | {component, state}'`

const afterReload = `
The process reads again what it was started with: --config and --set of \`kymo run\`. Those of this command only say where the
process is, since the address of its admin server stands in its configuration; it is not handed another one. --admin wins;
without both it is localhost:8888, or KYMO_ADMIN. A token is taken from KYMO_ADMIN_TOKEN, or from the file that
KYMO_ADMIN_TOKEN_FILE names.

Exit codes:
  0  it runs the configuration that is in its files now (with --dry-run: it could)
  1  it does not: all errors are told, and what ran goes on; or it could not be asked

Examples:
  kymo reload
  kymo reload --dry-run
  kymo reload --config /etc/kymo/kymo.yaml
  kymo reload --json | jq .plan.components`

const afterStatus = `
IN/S and OUT/S are items (spans, log records, data points) per second over the last minute; OUT/S of an exporter is what
its destination took. Since the start: DROPPED by a rule of the configuration; REFUSED: the sender was asked to come again,
nothing is gone; REJECTED for good by a destination or a step, dead letters included; LOST: accepted and given up. The last
three stand there once there is something in them. \`kymo losses\` tells the same of a range of time.
QUEUE: how full. OLDEST: age of what has waited longest. P99: of the time an export takes.

A pipeline is as well as the worst of its components. PASSED/S: what its processors hand to its exporters, whether those can
send it or not. HELD: what its processors hold at the moment.

Examples:
  kymo status --sort errors
  kymo status --watch 5 --filter traces
  kymo status --filter exporter --json | jq '.components[].parts[].queue'`

const afterTop = `
Keys: up, down, j, k select; t and b tell the command for live data and for batches of what is selected, and leave it on the screen
at the end; r has an exporter try now what waits; s sorts; / filters; ? help; q quits.

NEXT: when what waits is tried again. FAILED: attempts; LOST: items that no destination will have. A process that goes away is
asked again until it is back; what was seen last stays there, with its age.

It takes a terminal of any size from 40 columns and 10 lines, also through \`kubectl exec -it POD -- kymo top\`. NO_COLOR=1 turns
colours off. Where there is no terminal (or TERM=dumb) use \`kymo status --watch\`. r takes what all changes take: the token.

Examples:
  kymo top
  kymo top --every 5 --admin unix:/run/kymo/admin.sock`

const afterSenders = `
A sender is an address and a program (its User-Agent), at one receiver over one transport; up to 1,000 are kept, of which those
that were heard of least lately go first. REQ/S, ITEMS/S, BYTES/S: over the last one to two minutes. REJECTED: requests turned
away for good. REFUSED: to be sent again. Behind a proxy the address is the proxy's.

--refused has one row for each peer, status and reason, with what it was told and how its body began: the last hundred. STATUS
\`none\`: nobody could be answered, as when TLS comes to a plain port. What reasons mean stands in docs/operating.md.

Examples:
  kymo senders --sort refused                   who has the most turned away
  kymo senders --refused --reason malformed     who sends what is no OTLP, and what that looks like
  kymo senders --peer 10.0.3.7`

const afterLosses = `
Counted are spans, log records and data points. For each signal: all that came in is delivered, dropped (by a rule of the
configuration), rejected (for good, by a destination or as malformed), dead-lettered (kept aside), lost (accepted and given up),
refused (the sender was asked to come again) or waiting. It is told when that does not add up, which is a fault of Kymo.

Ranges begin at a look at the books: every ten seconds within the last hour, every five minutes within the last day; what
is asked from further back is told since the start of the process.

--by namespace (k8s.namespace.name), service (service.name) or another attribute is exact where a rule decided by it; the
rest is known as far as the journal still has it, and how much that is is told.
--by receiver tells what senders were answered, which may be sooner than what became of it.

Exit codes:
  0  nothing was rejected for good or lost         1  it could not be asked
  2  something was, or the books do not balance

Examples:
  kymo losses --since 1h
  kymo losses --since 2026-11-20T03:00:00Z --by namespace
  kymo losses --json | jq .lost_for_good`

const afterBatches = `
Examples:
  kymo batches --dropped --since 10m            what filters dropped in the last ten minutes, and what it was
  kymo batches --component otlp_grpc --what attempt_failed
  kymo batches 17                               one batch: each component, each attempt and its answer`
