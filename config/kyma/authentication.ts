/** `output.otlp.authentication` of Kyma's pipelines as an extension. */
import type { Definition } from '../../core/component.ts'
import type { Named } from '../../core/listed.ts'
import type { MapNode } from '../document.ts'
import type { Report } from '../report.ts'
import { at, entryAt, section } from './nodes.ts'
import type { Values } from './values.ts'

/** An extension that authenticates requests. */
export interface Authentication {
  readonly id: string
  readonly config: MapNode
  readonly needsTls: boolean
}

/** What each form needs. */
const extensions = { basic: 'basicauth', oauth2: 'oauth2client' } as const

/** The components that have to be known before pipelines are turned into a configuration. */
export const kymaUses: readonly Named[] = Object.values(extensions).map(type => ({ kind: 'extension', type }))

/** The extension; undefined when none is asked for or, as the report then says, this build has it not. */
export function readAuthentication(
  values: Values,
  name: string,
  definitions: readonly Definition[],
  report: Report,
): Authentication | undefined {
  for (const form of ['basic', 'oauth2'] as const) {
    const entry = entryAt(values.otlp, 'authentication', form)
    if (entry === undefined || at(entry.value) === undefined) continue
    const wanted = extensions[form]
    const definition = definitions.find(
      one => one.kind === 'extension' && (one.type === wanted || one.aliases?.includes(wanted) === true),
    )
    const config = form === 'basic' ? basic(values) : oauth2(values)
    if (definition !== undefined) return { id: `${definition.type}/${name}`, config, needsTls: form === 'oauth2' }
    const message = `${values.path}::authentication::${form}: this build has no extension \`${wanted}\` yet`
    report.error('CONFIG_UNKNOWN_COMPONENT', entry.key, message, 'send credentials as one of `headers`')
  }
  return undefined
}

function basic(values: Values): MapNode {
  const { place } = values.otlp
  return section(place, {
    client_auth: section(place, {
      username: values.read('authentication', 'basic', 'user'),
      password: values.read('authentication', 'basic', 'password'),
    }),
  })
}

function oauth2(values: Values): MapNode {
  const { place } = values.otlp
  return section(place, {
    token_url: values.read('authentication', 'oauth2', 'tokenURL'),
    client_id: values.read('authentication', 'oauth2', 'clientID'),
    client_secret: values.read('authentication', 'oauth2', 'clientSecret'),
    scopes: at(values.otlp, 'authentication', 'oauth2', 'scopes'),
    endpoint_params: at(values.otlp, 'authentication', 'oauth2', 'params'),
  })
}
