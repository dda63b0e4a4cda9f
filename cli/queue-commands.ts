/** The commands about queues on disk and dead letters. */
import { withAdmin } from './admin-option.ts'
import type { CommandLine } from './options.ts'
import type { ListOptions, MoveOptions } from './queue.ts'
import type { ReplayOptions } from './replay.ts'

const signals = ['traces', 'metrics', 'logs']

/** Adds them. */
export function addQueueCommands(program: CommandLine): void {
  const queue = program
    .command('queue')
    .description('queues on disk and dead letters: what is there, keep it elsewhere, give it up')
    .addHelpText('after', afterQueue)
  addList(inDirectory(withAdmin(queue.command('ls')).option('--json', 'as JSON')))
  addExport(inDirectory(withAdmin(queue.command('export'))))
  addDrop(inDirectory(withAdmin(queue.command('drop'))))
  addReplay(withAdmin(program.command('replay')).option('--json', 'as JSON'))
}

function inDirectory(command: CommandLine): CommandLine {
  return command
    .option('--directory <dir>', 'look into this directory of a `file_storage`, whose Kymo does not run')
    .option('--storage <id>', 'id of the storage extension, where there are several')
}

function ranged(command: CommandLine): CommandLine {
  return command
    .option('--owner <owner>', "only dead letters of this exporter and signal: 'otlp_grpc traces'")
    .option('--reason <reason>', 'only those put aside for this reason: rejected, too_large, suspect')
    .addOption(command.createOption('--signal <signal>', 'only this signal').choices(signals))
    .option('--since <time>', 'only those put aside since this time, or so long ago: 2h')
    .option('--until <time>', 'only those put aside before this time')
    .option('--seq <range>', 'only the one at this place, or those between: 17, 17-40')
}

function addList(command: CommandLine): void {
  ranged(command)
    .description(
      'show every queue on disk, who sends it, how much waits and since when, and how many dead letters there are',
    )
    .option('--dead-letters', 'list the dead letters: when, whose, why, and what kind of data')
    .option('--limit <n>', 'with --dead-letters: at most so many, oldest first', '100')
    .addHelpText('after', afterList)
    .action(async (options: ListOptions) => {
      const { listQueues } = await import('./queue.ts')
      process.exitCode = await listQueues(options)
    })
}

function which(command: CommandLine): CommandLine {
  return ranged(
    command
      .option('--queue <owner>', "the queue of an exporter that is in no pipeline any more: 'otlp_grpc/old traces'")
      .option('--dead-letters', 'dead letters, all or those that the other options choose'),
  )
}

function addExport(command: CommandLine): void {
  which(command)
    .description('write what is in a queue that nobody sends, or dead letters, to a file; it stays in the queue')
    .option('--to <file>', 'a new file, instead of standard output')
    .addOption(
      command
        .createOption(
          '--format <format>',
          'OTLP/JSON, one request a line; or protobuf, each after its length in four bytes',
        )
        .choices(['json', 'protobuf'])
        .default('json'),
    )
    .addHelpText('after', afterExport)
    .action(async (options: MoveOptions) => {
      const { exportQueue } = await import('./queue.ts')
      process.exitCode = await exportQueue(options)
    })
}

function addDrop(command: CommandLine): void {
  which(command)
    .description('give up what is in a queue that nobody sends, or dead letters, for good')
    .option('--yes', 'yes, it may go')
    .addHelpText('after', afterDrop)
    .action(async (options: MoveOptions) => {
      const { dropQueue } = await import('./queue.ts')
      process.exitCode = await dropQueue(options)
    })
}

function addReplay(command: CommandLine): void {
  ranged(command)
    .description(
      'have a running Kymo send dead letters, or a queue that nobody sends, again: into a pipeline, or to one exporter',
    )
    .option('--storage <id>', 'id of the storage extension, where there are several')
    .option('--queue <owner>', 'instead of dead letters, what an exporter that is in no pipeline any more left behind')
    .option('--pipeline <id>', 'where it goes; without it, the first pipeline that has the exporter')
    .option(
      '--exporter <id>',
      'only to this exporter, past pipelines and processors; without --owner, only what it put aside',
    )
    .option('--limit <n>', 'at most so many batches, oldest first')
    .option('--patience <duration>', 'give up when nothing is taken for so long: 60s')
    .option('--stop', 'end a replay that runs; what was not taken stays')
    .addHelpText('after', afterReplay)
    .action(async (options: ReplayOptions) => {
      const { replay } = await import('./replay.ts')
      process.exitCode = await replay(options)
    })
}

const afterQueue = `
A queue on disk is named after its exporter and signal, with a space between: 'otlp_grpc/backend traces'. Queues are there
where an exporter has \`sending_queue.storage\`. Dead letters are batches that a destination refused for good.

These commands ask a Kymo that runs (--admin), or look into the directory of one that does not (--directory).`

const afterList = `
STATE  in use: an exporter sends it. orphan: it has data, and its exporter is in no pipeline any more; it is kept, and nobody
       sends it. empty: it had data once.
OLDEST is the age of what has waited longest; LOST is what was given up (too old) or could not be read back.

Examples:
  kymo queue ls
  kymo queue ls --json | jq '.queues[] | select(.orphan)'
  kymo queue ls --dead-letters --reason rejected --since 1h
  kymo queue ls --directory /var/lib/kymo/queues      without a running Kymo; needs no lock`

const afterExport = `
The file is what the receiver otlp_json_file reads, and the exporter file writes. A file that is there is not overwritten.

Examples:
  kymo queue export --queue 'otlp_grpc/old traces' --to old.jsonl
  kymo queue export --dead-letters --reason rejected | jq .
  kymo queue export --queue 'otlp_grpc traces' --directory /var/lib/kymo/queues --to rescued.jsonl`

const afterDrop = `
A queue that a running exporter sends cannot be dropped: take the exporter out of the pipelines first.

Examples:
  kymo queue drop --queue 'otlp_grpc/old traces' --yes
  kymo queue drop --dead-letters --reason too_large --yes`

const afterReplay = `
Each batch goes in at the beginning of the pipeline, through its processors, to all of its exporters: where it has several,
those that took the batch the first time get it again. With --exporter it goes to that one alone, as it was when it was put
aside. What a destination refuses for good once more is put aside anew, after the range of this replay. What finds no room is
tried again until nothing was taken for --patience.

Exit code 1 when something was left or rejected. Ctrl-C leaves the replay running.

Examples:
  kymo replay                                     all dead letters, when the destination is mended
  kymo replay --reason rejected --since 2h --pipeline traces
  kymo replay --exporter otlp_grpc/backend        its own dead letters; the exporters beside it get nothing
  kymo replay --seq 17                            only this one, to see whether it is taken now
  kymo replay --queue 'otlp_grpc/old traces' --exporter otlp_grpc/new`
