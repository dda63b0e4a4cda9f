/** `kymo completion`: scripts for shells, made from the tree of commands. */

/** An option, as the parser has it. */
interface OptionNode {
  readonly short?: string | undefined
  readonly long?: string | null | undefined
  readonly description: string
  readonly required: boolean
  readonly optional: boolean
  readonly hidden: boolean
  readonly argChoices?: readonly string[] | undefined
}

/** A command with what is below it. */
export interface CommandNode {
  name(): string
  aliases(): readonly string[]
  description(): string
  readonly options: readonly OptionNode[]
  readonly registeredArguments: readonly { readonly argChoices?: readonly string[] | undefined; name(): string }[]
  readonly commands: readonly CommandNode[]
}

/** Shells that there is a script for. */
export const shells = ['bash', 'zsh'] as const

/** The script of one shell. `implied` is the command that is meant when none is named. */
export function completionScript(shell: (typeof shells)[number], program: CommandNode, implied: string): string {
  return shell === 'bash' ? bash(program, implied) : zsh(program, implied)
}

const takesValue = ({ required, optional }: OptionNode) => required || optional
const namesOf = ({ short, long }: OptionNode) => [short, long].filter(name => typeof name === 'string')
const shownOptions = (command: CommandNode) => [
  ...command.options.filter(({ hidden }) => !hidden),
  { short: '-h', long: '--help', description: 'display help', required: false, optional: false, hidden: false },
]

/** Commands by every name they have. */
function everyName(program: CommandNode): [name: string, command: CommandNode][] {
  return program.commands.flatMap(command =>
    [command.name(), ...command.aliases()].map((name): [string, CommandNode] => [name, command]),
  )
}

/** The same, each followed by the commands below it: `queue`, `queue ls`. */
function everyPath(program: CommandNode): [path: string, command: CommandNode][] {
  return everyName(program).flatMap(([name, command]): [string, CommandNode][] => [
    [name, command],
    ...everyPath(command).map(([path, inner]): [string, CommandNode] => [`${name} ${path}`, inner]),
  ])
}

const helpCommand = 'help'

function bash(program: CommandNode, implied: string): string {
  const commands = everyPath(program)
  const names = [...everyName(program).map(([name]) => name), helpCommand]
  const flags = (command: CommandNode) => shownOptions(command).flatMap(namesOf)
  const start = program.commands.find(command => command.name() === implied) ?? program
  const words = commands.map(([name, command]) => {
    const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
    const inner = everyName(command).map(([below]) => below)
    return `    '${name}') words='${[...inner, ...flags(command), ...choices].join(' ')}'${takesFiles(command) ? ' files=1' : ''} ;;`
  })
  const values = [['', start] as const, ...commands].flatMap(([name, command]) =>
    command.options.filter(takesValue).map(
      option =>
        `    ${namesOf(option)
          .map(flag => `'${name} ${flag}'`)
          .join('|')}) ${valueWords(option)} ;;`,
    ),
  )
  return `# bash completion of kymo. For this shell: source <(kymo completion bash)
# For all: kymo completion bash > ~/.local/share/bash-completion/completions/kymo
_kymo() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' files='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
    ${[...commands.map(([path]) => path), helpCommand].map(path => (path.includes(' ') ? `'${path}'` : `' ${path}'`)).join('|')})
      command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  case "$command" in
    '') words='${[...new Set([...names, ...flags(program), ...flags(start)])].join(' ')}' ;;
${words.join('\n')}
    ${helpCommand}) words='${names.slice(0, -1).join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n "$files" && "$cur" != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _kymo kymo
`
}

/** Arguments without a list of values are files, but for names of things in this build. */
const takesFiles = ({ registeredArguments }: CommandNode) =>
  registeredArguments.some(argument => isFile(argument.name()) && argument.argChoices === undefined)

const isFile = (name: string) => name === 'before' || name === 'after'

/** Options that take the name of a file or folder. */
const isPath = (long: string | null | undefined) => long === '--config' || long === '--directory' || long === '--to'

function valueWords({ long, argChoices }: OptionNode): string {
  if (argChoices !== undefined) return `COMPREPLY=($(compgen -W '${argChoices.join(' ')}' -- "$cur")); return`
  return isPath(long) ? `COMPREPLY=($(compgen -f -- "$cur")); return` : 'return'
}

function zsh(program: CommandNode, implied: string): string {
  const commands = everyName(program)
  const list = [...commands.map(([name, command]) => `${name}:${command.description()}`), `${helpCommand}:display help`]
  const start = program.commands.find(command => command.name() === implied) ?? program
  const cases = commands.map(([name, command]) => `    ${name})\n${casesOf(command)} ;;`)
  return `#compdef kymo
# zsh completion of kymo: put this into a folder of $fpath, as _kymo, or: source <(kymo completion zsh)
_kymo_commands() {
  local -a commands
  commands=(
${list.map(text => `    ${quote(text)}`).join('\n')}
  )
  _describe 'command' commands
}
_kymo() {
  local curcontext="$curcontext" state line
  _arguments -s -C ${specs(start, false)} \\
    '1: :_kymo_commands' '*:: :->arguments'
  [[ $state == arguments ]] || return
  case $line[1] in
${cases.join('\n')}
    ${helpCommand}) _kymo_commands ;;
  esac
}
if [[ $funcstack[1] == _kymo ]]; then _kymo "$@"; else compdef _kymo kymo; fi
`
}

/** What zsh does after the name of a command: complete it, or the commands below it. */
function casesOf(command: CommandNode): string {
  const inner = everyName(command)
  if (inner.length === 0) return `      _arguments -s ${specs(command, true)}`
  const below = inner.map(([name, one]) => `        ${name}) _arguments -s ${specs(one, true)} ;;`)
  return `      if (( CURRENT == 2 )); then
        _values 'command' ${inner.map(([name, one]) => quote(`${name}[${one.description().replaceAll(/[[\]\\:]/g, String.raw`\$&`)}]`)).join(' ')}
      else
        shift words; (( CURRENT-- ))
        case $words[1] in
${below.join('\n')}
        esac
      fi`
}

/** What `_arguments` is told of a command: its options and, where asked for, its arguments. */
function specs(command: CommandNode, withArguments: boolean): string {
  const options = shownOptions(command).flatMap(option => {
    const text = option.description.replaceAll(/[[\]\\]/g, '\\$&')
    const value = takesValue(option) ? `:value:${actionOf(option)}` : ''
    return namesOf(option).map(name => quote(`*${name}[${text}]${value}`))
  })
  const values = command.registeredArguments.map(argument => {
    const { argChoices } = argument
    if (argChoices !== undefined) return quote(`:${argument.name()}:(${argChoices.join(' ')})`)
    return quote(`:${argument.name()}:${isFile(argument.name()) ? '_files' : ' '}`)
  })
  return ['', ...options, ...(withArguments ? values : [])].join(' \\\n      ').trimStart()
}

function actionOf({ long, argChoices }: OptionNode): string {
  if (argChoices !== undefined) return `(${argChoices.join(' ')})`
  return isPath(long) ? '_files' : ' '
}

const quote = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`
