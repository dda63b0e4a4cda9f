/** `kymo retry`, as the command line has it. */
import { withAdmin } from './admin-option.ts'
import type { CommandLine } from './options.ts'
import type { RetryOptions } from './retry.ts'

/** Adds it. */
export function addRetryCommand(program: CommandLine): void {
  const command = withAdmin(program.command('retry <exporter>'))
  command
    .description('have an exporter of a running Kymo try now what waits, and tell what the destination says')
    .addOption(command.createOption('--signal <signal>', 'only this signal').choices(['traces', 'metrics', 'logs']))
    .option('--timeout <duration>', 'how long to wait for an answer: 10s if not said, 60s at most')
    .option('--json', 'as JSON')
    .addHelpText('after', afterRetry)
    .action(async (exporter: string, options: RetryOptions) => {
      const { retry } = await import('./retry.ts')
      process.exitCode = await retry(exporter, options)
    })
}

const afterRetry = `
What waits for a retry, or because the destination took nothing, is tried at once, also where the destination had asked to be left
alone for a while. The answer is that of the next attempt. If it fails, the waits go on as before. It takes what all changes take:
the token of the process where it has one.

Exit codes: 0  the destination took it, or nothing waits      1  it failed, or there is no answer yet

Examples:
  kymo retry otlp_grpc/backend
  kymo retry otlp_http --signal logs --timeout 30s`
