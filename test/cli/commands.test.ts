import { expect, test } from 'vitest'
import { commandLine } from '../../cli/commands.ts'

/** What the commands are called with; what is printed instead, when they are not. */
async function parsed(...args: string[]) {
  const calls: [string, unknown][] = []
  let printed = ''
  const program = commandLine('1.2.3', {
    run: async options => void calls.push(['run', options]),
    validate: async options => void calls.push(['validate', options]),
  })
  for (const command of [program, ...program.commands]) {
    command.exitOverride()
    command.configureOutput({ writeOut: text => (printed += text), writeErr: text => (printed += text) })
  }
  const code = await program.parseAsync(['node', 'kymo', ...args]).then(
    () => 0,
    (error: { exitCode: number }) => error.exitCode,
  )
  return { calls, printed, code }
}

const defaults = { config: [], set: [], shutdownTimeout: 25_000 }

test.each<[string, string[], string, object]>([
  ['without a command it runs', [], 'run', defaults],
  ['options without a command are those of run', ['-c', 'a.yaml'], 'run', { ...defaults, config: ['a.yaml'] }],
  [
    'sources and values repeat, in their order',
    ['run', '--config', 'a.yaml', '--set', 'a=1', '--config=env:B', '-s', 'b=2'],
    'run',
    { ...defaults, config: ['a.yaml', 'env:B'], set: ['a=1', 'b=2'] },
  ],
  ['the timeout is a duration', ['--shutdown-timeout', '1m30s'], 'run', { ...defaults, shutdownTimeout: 90_000 }],
  ['validate takes sources', ['validate', '-c', 'a.yaml'], 'validate', { config: ['a.yaml'], set: [] }],
])('%s', async (_, args, command, options) => {
  expect((await parsed(...args)).calls).toEqual([[command, options]])
})

test.each([
  ['an unknown option is told, with the nearest one', ['--confg', 'a'], '--config'],
  ['a timeout that is no duration is told', ['--shutdown-timeout', 'soon'], '25s'],
  ['an option without its value is told', ['--config'], 'argument missing'],
  ['a file that is named as a command is told', ['run', 'kymo.yaml'], 'is named with --config kymo.yaml'],
  ['an unknown command is told, with the nearest one', ['valdiate', '--config', 'a'], 'Did you mean validate?'],
  ['an unknown command that is near none is told', ['frobnicate'], "unknown command 'frobnicate'"],
  ['an unknown command below another is told', ['queue', 'lst'], 'Did you mean ls?'],
])('%s', async (_, args, words) => {
  const { calls, printed, code } = await parsed(...args)
  expect(calls).toEqual([])
  expect(printed).toContain(words)
  expect(code).toBe(1)
})

test.each([
  [['--help'], ['kymo validate --config', 'localhost:4317']],
  [
    ['run', '--help'],
    ['KYMO_LOG', 'Exit codes', '/health/ready'],
  ],
  [['validate', '--help'], ['exit code 1']],
  [['--version'], ['1.2.3']],
])('%j says what there is to know', async (args, words) => {
  const { printed, code } = await parsed(...args)
  for (const word of words) expect(printed).toContain(word)
  expect(code).toBe(0)
})
