import { execFileSync, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { commandLine } from '../../cli/commands.ts'
import { completionScript } from '../../cli/completion.ts'

const nothing = () => Promise.resolve()
/** Actions that do nothing, however many there are. */
const actions = new Proxy({}, { get: () => nothing }) as Parameters<typeof commandLine>[1]
const program = commandLine('1.2.3', actions)

const hasBash = spawnSync('bash', ['--version']).status === 0

/** What bash offers for the last word of a command line. */
function offered(...words: string[]): string[] {
  const script = `${completionScript('bash', program, 'run')}
COMP_WORDS=(kymo "$@"); COMP_CWORD=$#
_kymo
printf '%s\\n' "\${COMPREPLY[@]}"`
  // Without its own start-up files, as complete -F would find it.
  return execFileSync('bash', ['--noprofile', '--norc', '-c', script, 'bash', ...words], { cwd: import.meta.dirname })
    .toString()
    .split('\n')
    .filter(word => word !== '')
}

test.runIf(hasBash)('bash offers commands, and options of the command that is meant without one', () => {
  const words = offered('')
  for (const command of program.commands) expect(words).toContain(command.name())
  expect(words).toEqual(expect.arrayContaining(['help', 'print-initial-config', '--config', '--version']))
  expect(offered('val')).toEqual(['validate'])
  expect(offered('--shut')).toEqual(['--shutdown-timeout'])
})

test.runIf(hasBash).each<[string, string[], string[]]>([
  ['options of a command', ['components', '--'], ['--format', '--json', '--help']],
  ['the values of an option', ['print-config', '--format', ''], ['yaml', 'json']],
  ['the beginning of a value', ['print-config', '--mode', 'un'], ['unredacted']],
  ['values of an argument', ['completion', 'z'], ['zsh']],
  ['files for a source', ['validate', '--config', 'comp'], ['completion.test.ts', 'components.test.ts']],
  ['files without a command', ['-c', 'completion'], ['completion.test.ts']],
  ['files for an argument that is one', ['diff', 'completion'], ['completion.test.ts']],
  ['commands below a command', ['queue', ''], ['ls', 'export', 'drop', '--help', '-h']],
  ['options of such a command', ['queue', 'drop', '--y'], ['--yes']],
  ['values of its options', ['queue', 'export', '--format', ''], ['json', 'protobuf']],
  ['files for its options', ['queue', 'export', '--to', 'completion'], ['completion.test.ts']],
  ['options of a command that another has below it', ['replay', '--pip'], ['--pipeline']],
  ['nothing for what only the user knows', ['run', '--set', ''], []],
  ['nothing that is not there', ['components', '--shut'], []],
])('bash offers %s', (_, words, expected) => {
  expect(offered(...words).toSorted()).toEqual(expected.toSorted())
})

test('the script for zsh knows every command and option, in quotes that close', () => {
  const script = completionScript('zsh', program, 'run')
  for (const command of program.commands) {
    expect(script).toContain(`'${command.name()}:`)
    for (const { long, hidden } of command.options) expect(script.includes(`'*${long}[`)).toBe(!hidden)
  }
  expect(script).toContain(':value:(yaml json)')
  expect(script).toContain(':value:_files')
  const bare = script.replaceAll(String.raw`'\''`, '').replaceAll(/^#.*$/gm, '')
  expect(bare.split("'").length % 2).toBe(1)
  for (const spec of bare.matchAll(/'\*--?[a-z-]+(\[.*?)'/gi))
    expect(spec[1]).toMatch(/^\[(?:[^[\]]|\\.)*\](?::value:.+)?$/)
})

test.runIf(spawnSync('zsh', ['--version']).status === 0)('zsh reads the script', () => {
  const script = completionScript('zsh', program, 'run')
  expect(spawnSync('zsh', ['-n'], { input: script })).toMatchObject({ status: 0 })
})
