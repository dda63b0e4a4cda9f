import { defaultAdmin } from './admin-client.ts'
import type { CommandLine } from './options.ts'

/** Adds where to ask. */
export function withAdmin(command: CommandLine): CommandLine {
  return command.addOption(
    command
      .createOption('--admin <url>', 'address of its admin server, or unix:PATH')
      .env('KYMO_ADMIN')
      .default(defaultAdmin),
  )
}
