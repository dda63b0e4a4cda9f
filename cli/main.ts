#!/usr/bin/env -S node --max-semi-space-size=4
/** The command line. What a command does stands in the file called like it, and is loaded when it is asked for. */
import { isMainThread } from 'node:worker_threads'
import manifest from '../package.json' with { type: 'json' }
import { compileHot, onlyInterpret } from '../service/memory.ts'

if (isMainThread) await runCommand(manifest.version)
else {
  const { serveThread } = await import('./load-worker.ts')
  await serveThread()
}

async function runCommand(version: string): Promise<void> {
  // First, because loading is most of starting.
  onlyInterpret()
  const { commandLine } = await import('./commands.ts')
  const program = commandLine(version, {
    async run(options) {
      const { run } = await import('./run.ts')
      // What is still open (idle connections) is nothing to wait for.
      process.exit(await run({ ...options, version }))
    },
    async validate(options) {
      const { validate } = await import('./validate.ts')
      process.exitCode = await validate(options)
    },
  })
  // A service compiles when it is ready, other commands work from the start.
  program.hook('preAction', (_, command) => {
    if (command.name() !== 'run') compileHot()
  })
  await program.parseAsync()
}
