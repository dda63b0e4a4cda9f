/** `kymo docs`: the reference of a component, or of one of its keys, in a terminal. */
import { everyComponent } from '../components.ts'
import { quoted, suggest } from '../config/nearest.ts'
import { yamlOf } from '../config/document.ts'
import { type Option, optionsOf } from '../config/options.ts'
import type { Definition } from '../core/component.ts'
import { runsText } from '../core/worker.ts'
import { exitCodes } from '../service/process.ts'
import { componentsText } from './components.ts'
import { terminalWidth } from './format.ts'
import { findComponent } from './schema.ts'

/** Prints all components, one of them, or what stands at a key of it; returns the exit code. */
export async function docs(component: string | undefined, key: string | undefined, version: string): Promise<number> {
  const all = await everyComponent()
  const text = component === undefined ? componentsText(all, 'text', version) : docsText(component, key, all)
  if (typeof text === 'string') {
    process.stdout.write(text)
    return exitCodes.clean
  }
  process.stderr.write(`${text.message}\n`)
  return exitCodes.failed
}

/** The text; an error where there is no such component or key. */
export function docsText(name: string, key: string | undefined, definitions: readonly Definition[]): string | Error {
  const definition = findComponent(name, definitions)
  if (typeof definition === 'string') return new Error(definition)
  const options = optionsOf(definition.config)
  if (key === undefined) return pageText(definition, options)
  // As messages have it: `exporters::otlp_http::tls::ca_file`.
  const plain = key.replace(/^[a-z]+s::[^:]+::/, '').replaceAll('::', '.')
  const found = options.filter(one => isWithin(one.name, plain))
  if (found.length > 0) return found.map(optionText).join('\n')
  const names = options.map(one => one.name)
  const known = `its keys: ${quoted(names.filter(one => !/[.[]/.test(one)))}`
  return new Error(
    `${definition.kind} ${definition.type} has no key \`${key}\`; ${suggest(plain, names, known) ?? known}`,
  )
}

/** Whether an option is the one at `key`, or stands in it. */
function isWithin(name: string, key: string): boolean {
  const [at, sought] = [name, key].map(text => text.replaceAll(/\[\d*\]/g, '')) as [string, string]
  return at === sought || at.startsWith(`${sought}.`)
}

function pageText(definition: Definition, options: readonly Option[]): string {
  const { kind, type, aliases = [], summary, stability, examples } = definition
  const others = aliases.length === 0 ? '' : `, also called ${aliases.join(', ')}`
  const of =
    definition.kind === 'connector'
      ? definition.joins.map(([from, to]) => `${from} to ${to}`).join(', ')
      : definition.signals.join(', ')
  const facts = [stability, ...(of === '' ? [] : [of]), `in several processes: ${runsText(definition)}`]
  return [
    `${type} (${kind})${others}\n`,
    paragraph(summary, 0),
    `${facts.join('; ')}\n`,
    options.length === 0 ? '\nIt has no options.\n' : `\nOptions:\n\n${options.map(optionText).join('\n')}`,
    ...examples.map(({ title, config }) => `\n${title}:\n\n${yamlOf({ [`${kind}s`]: { [type]: config } })}`),
  ].join('')
}

function optionText({ name, type, preset, required, secret, description }: Option): string {
  const what = type.replaceAll('`', '')
  const kind = secret && what !== 'secret' ? `${what}, secret` : what
  const value = typeof preset === 'string' ? preset : JSON.stringify(preset ?? '')
  const usual = preset === undefined || preset === null || value === '' ? '' : `, ${value} unless set`
  return `  ${name}  (${kind}${required ? ', required' : usual})\n${paragraph(description, 6)}`
}

/** Text in lines that fit, all of them moved in. */
function paragraph(text: string, margin: number): string {
  const width = Math.min(terminalWidth(), 110) - margin
  const lines = ['']
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return text === '' ? '' : `${lines.map(line => ' '.repeat(margin) + line).join('\n')}\n`
}
