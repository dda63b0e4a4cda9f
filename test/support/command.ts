/** The command line as a user meets it: a process, its output, its exit code. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { program } from './bundle.ts'

const root = join(import.meta.dirname, '../..')

/** What a command left. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs `kymo` with these arguments, in the folder of the project. */
export function kymo(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return new Promise(resolve => {
    const options = { cwd: root, env: { ...process.env, ...env } }
    execFile(process.execPath, [...program(), ...args], options, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
    })
  })
}
