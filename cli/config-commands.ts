/** The commands about configurations and what may stand in them. */
import type { CommandLine, SourceOptions } from './options.ts'
import { completionScript, shells } from './completion.ts'
import type { ComponentsOptions } from './components.ts'
import type { PrintOptions } from './print-config.ts'

/** Adds them; `withSources` adds the options that say where a configuration comes from. */
export function addConfigCommands(
  program: CommandLine,
  version: string,
  withSources: (command: CommandLine) => CommandLine,
): void {
  addComponents(program, version)
  addPrintConfig(withSources(program.command('print-config')).alias('print-initial-config'))
  program
    .command('schema [component]')
    .description('print the JSON Schema of a whole configuration, or of one component, for editors')
    .addHelpText('after', afterSchema)
    .action(async (component: string | undefined) => {
      const { schema } = await import('./schema.ts')
      process.exitCode = await schema(component)
    })
  program
    .command('docs [component] [key]')
    .description('print what a component does and what its keys mean, or one key; without the network')
    .addHelpText('after', afterDocs)
    .action(async (component: string | undefined, key: string | undefined) => {
      const { docs } = await import('./docs.ts')
      process.exitCode = await docs(component, key, version)
    })
  withSources(program.command('explain'))
    .description('tell what a configuration will do: what is read how deep, when success is said, what a fault does')
    .option('--json', 'as JSON')
    .addHelpText('after', afterExplain)
    .action(async (options: SourceOptions & { json?: boolean }) => {
      const { explain } = await import('./explain.ts')
      process.exitCode = await explain(options)
    })
  program
    .command('diff <before> <after>')
    .description('tell what differs between two configurations, and what a reload would restart')
    .option('--json', 'as JSON')
    .addHelpText('after', afterDiff)
    .action(async (before: string, after: string, options: { json?: boolean }) => {
      const { diff } = await import('./diff.ts')
      process.exitCode = await diff(before, after, options)
    })
  program
    .command('featuregate [id]')
    .description("list the Collector's feature gates and what they mean here")
    .option('--json', 'as JSON')
    .action(async (id: string | undefined, options: { json?: boolean }) => {
      const { featuregate } = await import('./featuregate.ts')
      process.exitCode = featuregate(id, options)
    })
  addCompletion(program)
}

function addComponents(program: CommandLine, version: string): void {
  const command = program.command('components')
  command
    .description('list the components of this build, with signals and stability')
    .addOption(
      command.createOption('--format <format>', 'how to print').choices(['text', 'json', 'yaml']).default('text'),
    )
    .option('--json', 'the same as --format json')
    .addHelpText('after', "\nWith --format yaml the list has the form of the OpenTelemetry Collector's.")
    .action(async (options: ComponentsOptions) => {
      const { components } = await import('./components.ts')
      await components(options, version)
    })
}

function addPrintConfig(command: CommandLine): void {
  command
    .description('print the configuration as it takes effect: merged, references followed, defaults filled in')
    .addOption(command.createOption('--format <format>', 'how to print').choices(['yaml', 'json']).default('yaml'))
    .option('--json', 'the same as --format json')
    .addOption(
      command
        .createOption('--mode <mode>', 'unredacted prints secrets')
        .choices(['redacted', 'unredacted'])
        .default('redacted'),
    )
    .option('--origin', 'say where each value came from: file:line:column, a variable, --set, or default')
    .addOption(
      command
        .createOption(
          '--validate <boolean>',
          "accepted as the Collector's: without a check it is not known what is secret",
        )
        .choices(['true'])
        .hideHelp(),
    )
    .addHelpText('after', afterPrint)
    .action(async (options: PrintOptions & SourceOptions) => {
      const { printConfig } = await import('./print-config.ts')
      process.exitCode = await printConfig(options)
    })
}

function addCompletion(program: CommandLine): void {
  const command = program.command('completion')
  command
    .description('print a completion script')
    .addArgument(command.createArgument('<shell>', 'whose script').choices(shells))
    .addHelpText('after', afterCompletion)
    .action((shell: (typeof shells)[number]) => {
      process.stdout.write(completionScript(shell, program, 'run'))
    })
}

const afterPrint = `
Examples:
  kymo print-config --config kymo.yaml                 secrets are shown as [REDACTED]
  kymo print-config --config kymo.yaml --origin        timeout: 5s # kymo.yaml:12:14
  kymo print-config --config kymo.yaml --format json | jq .exporters`

const afterDocs = `
Examples:
  kymo docs                                  all components
  kymo docs otlp_http                        one of them
  kymo docs otlp_http sending_queue          a section, with all that is in it
  kymo docs exporter/otlp_grpc tls.ca_file   one key; the kind in front where a name is not clear`

const afterSchema = `
Examples:
  kymo schema > kymo.schema.json     then, in the first line of kymo.yaml:
                                     # yaml-language-server: $schema=kymo.schema.json
  kymo schema exporter/otlp_grpc     one component; the kind in front where a name is not clear`

const afterExplain = `
Nothing is started. For each receiver: when its senders hear success. For each pipeline: what each component reads and
changes, and which key makes it; what passes as the bytes that came; what may be dropped, under which reason. For each
exporter: what a full queue, an outage, bad data and a stop do to data, and which destination can stop which.

Examples:
  kymo explain --config kymo.yaml
  kymo explain --config kymo.yaml --set exporters.otlp_grpc.sending_queue.enabled=false
  kymo explain --config kymo.yaml --json | jq '.exporters[] | {id, success, when_full}'`

const afterDiff = `
References are followed and defaults filled in first: what is told makes a difference when it runs. Secrets are not shown.

Exit codes:
  0  no difference     1  differences     2  one of them is wrong`

const afterCompletion = `
  bash   source <(kymo completion bash)
  zsh    source <(kymo completion zsh)`
