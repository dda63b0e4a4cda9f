/** `kymo check`, as the command line has it. */
import { withAdmin } from './admin-option.ts'
import type { CheckOptions } from './check.ts'
import { type CommandLine, milliseconds } from './options.ts'

/** Adds it; `withSources` adds the options that say where a configuration comes from. */
export function addCheckCommand(program: CommandLine, withSources: (command: CommandLine) => CommandLine): void {
  const command = withAdmin(withSources(program.command('check [exporters...]')))
  command
    .description('find out whether the destinations would take data, step by step; sends none')
    .option('--connect', 'DNS, TCP, TLS, credentials, and a request without data for each signal')
    .option('--running', 'of the Kymo that runs, not of --config; --admin says the same')
    .addOption(
      command
        .createOption('--timeout <duration>', 'how long each step may take: 5s if not said, 60s at most')
        .argParser(milliseconds),
    )
    .option('--json', 'as JSON')
    .addHelpText('after', afterCheck)
    .action(async (exporters: readonly string[], options: CheckOptions) => {
      const { check } = await import('./check.ts')
      const isRunning = options.running === true || command.getOptionValueSource('admin') === 'cli'
      process.exitCode = await check(exporters, options, isRunning)
    })
}

const afterCheck = `
Of each EXPORTER (all that are in a pipeline, if none is named) each destination is asked: its name (dns), a connection (tcp),
the certificate and who vouches for it (tls; one that ends within 14 days is a warning), then a request without data for each
signal, over the exporter's own client with its \`tls\`, \`proxy_url\`, \`headers\` and \`auth\`. Datadog is asked for the key, a
\`prometheus\` page whether its address is free, a \`file\` whether it can be written. What fails is told in the keys to mend it.
Of the configuration only the clients and authenticators are started, and no data is sent.

With --running (or --admin) the Kymo that runs looks from where it is, over new connections. That takes what all changes take:
the token of the process where it has one.

Exit codes: 0  all would take data (warnings too)      1  some would not, or the configuration is wrong

Examples:
  kymo check --connect --config kymo.yaml                          before a rollout
  kymo check --connect --config kymo.yaml otlp_grpc/backend --timeout 2s
  kymo check --connect --running                                   from where it runs
  kubectl exec POD -- kymo check --connect --running --json`
