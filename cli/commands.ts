/** Commands, their options, and what the help says. */
import { nearest } from '../config/nearest.ts'
import { readings } from '../service/access.ts'
import { addRetryCommand } from './retry-command.ts'
import { addCheckCommand } from './check-command.ts'
import { addConfigCommands } from './config-commands.ts'
import { addHistoryCommands } from './history-commands.ts'
import { type CommandLine, milliseconds, newCommandLine, type RunOptions, type SourceOptions } from './options.ts'
import { addQueueCommands } from './queue-commands.ts'
import { addRunningCommands } from './running-commands.ts'

/** What the commands do. */
export interface Actions {
  run(options: RunOptions): Promise<void>
  validate(options: SourceOptions): Promise<void>
}

/** The command line of `version`, ready to parse. */
export function commandLine(version: string, actions: Actions): CommandLine {
  const program = newCommandLine('kymo')
    .description('Takes OpenTelemetry logs, metrics and traces in, filters and enriches them, and sends them on.')
    .version(version)
    .showHelpAfterError('(`kymo --help` tells what there is)')
    .addHelpText('after', afterKymo)
  // Words that are no command come to `run`, which takes none.
  sourceOptions(program.command('run', { isDefault: true }).allowExcessArguments())
    .description('run the pipelines until SIGTERM or Ctrl-C (what happens without a command)')
    .addOption(
      program
        .createOption('--shutdown-timeout <duration>', 'how long stopping may take to send what is still held')
        .argParser(milliseconds)
        .default(25_000, '25s'),
    )
    .option('--watch', 'take over the configuration when its files change, with those that `${file:...}` names')
    .option('--admin <address>', 'where the admin server listens: unix:PATH or host:port; metrics stay where they are')
    .addOption(
      program
        .createOption('--admin-host <name>', 'a name it may be asked by, besides localhost and addresses; repeatable')
        .env('KYMO_ADMIN_HOSTS')
        .argParser(collectNames),
    )
    .addOption(
      program
        .createOption(
          '--admin-reads <who>',
          'without the token it tells all (if not said), metrics and health, or only health',
        )
        .env('KYMO_ADMIN_READS')
        .choices(readings),
    )
    .addOption(
      program
        .createOption('--admin-tap <on|off>', 'whether `kymo tap` may show live data (on, if not said)')
        .env('KYMO_ADMIN_TAP')
        .choices(['on', 'off']),
    )
    .addHelpText('after', afterRun)
    .action((options: RunOptions, run: CommandLine) => {
      const [word] = run.args
      if (word !== undefined) run.error(noCommand(word, program))
      return actions.run(options)
    })
  sourceOptions(program.command('validate'))
    .description('check a configuration and start nothing; silent when it is right, else all errors and exit code 1')
    .addHelpText('after', afterValidate)
    .action(actions.validate)
  addRetryCommand(program)
  addCheckCommand(program, sourceOptions)
  addConfigCommands(program, version, sourceOptions)
  addRunningCommands(program)
  addHistoryCommands(program, version)
  addQueueCommands(program)
  return program
}

/** What to say of a word where a command stands. */
function noCommand(word: string, program: CommandLine): string {
  const meant = nearest(
    word,
    program.commands.flatMap(command => [command.name(), ...command.aliases()]),
  )
  if (meant !== undefined) return `error: unknown command '${word}'\n(Did you mean ${meant}?)`
  const isFile = /[./]/.test(word)
  return `error: unknown command '${word}'${isFile ? `\n(a configuration is named with --config ${word})` : ''}`
}

function sourceOptions(command: CommandLine): CommandLine {
  const collect = (value: string, before: string[] = []): string[] => [...before, value]
  return command
    .addOption(
      command
        .createOption('-c, --config <source>', 'a file, or file:PATH, env:NAME, yaml:TEXT; repeatable, later ones win')
        .argParser(collect)
        .default([], 'the built-in configuration'),
    )
    .addOption(
      command
        .createOption('-s, --set <key=value>', 'sets one value over all files: processors.batch.timeout=2s; repeatable')
        .argParser(collect)
        .default([], 'nothing'),
    )
    .addOption(
      command
        .createOption('--feature-gates <gates>', "the Collector's: a,-b,+c; `kymo featuregate` says what they mean")
        .argParser(collect),
    )
}

function collectNames(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...value.split(',').map(name => name.trim())]
}

const afterKymo = `
Try it:
  kymo                               OTLP in on localhost:4317 and 4318, shown on standard output
  kymo --config kymo.yaml            your own configuration, in the form of the OpenTelemetry Collector's
  kymo validate --config kymo.yaml   is it right? (starts nothing)
  kymo run --help                    environment variables, exit codes, the admin server`

const afterRun = `
Without --config a built-in configuration runs: OTLP is taken on localhost:4317 (gRPC) and localhost:4318 (HTTP), data
of system namespaces is left out, k8s.cluster.name is added, and what is left is shown on standard output.

Metrics, health and status: http://localhost:8888/metrics, /health/live, /health/ready, /status

Environment:
  KYMO_LOG            log levels (debug, info, warn, error) for all and by module: KYMO_LOG=warn,otlp=debug
  KYMO_CLUSTER_NAME   k8s.cluster.name of the built-in configuration
  KYMO_ADMIN_TOKEN    who may change a running process through the admin server; or KYMO_ADMIN_TOKEN_FILE, a file with it
  KYMO_ADMIN_TAP      off: \`kymo tap\` shows no data
  KYMO_ADMIN          where commands ask; with unix:PATH also where \`run\` has its admin server listen

SIGHUP, or \`kymo reload\`, reads the configuration again and takes it over while data moves: what did not change goes on as
it is, a wrong one changes nothing. \`kymo diff\` tells what a reload would do.

Exit codes:
  0  stopped, nothing was lost         1   wrong configuration, or something could not start
  2  stopped, but items were lost      70  a fault of Kymo`

const afterValidate = `
Ports, certificates and backends are not looked at: they may differ where the configuration is used.`
