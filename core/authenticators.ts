/** Finding the extension that `auth.authenticator` names. */
import type { ClientAuthenticator, ServerAuthenticator } from './auth.ts'
import type { ComponentContext, Extension } from './component.ts'

/** What a component needs to find extensions. */
type Finder = Pick<ComponentContext, 'id' | 'extension'>

/**
 * The authenticator of requests that come in. To be asked for in `start`.
 * @throws Error naming both ids when there is none
 */
export function serverAuthenticator(context: Finder, id: string): ServerAuthenticator {
  const { server } = found(context, id)
  if (server !== undefined) return server
  throw new Error(`${context.id}: \`auth.authenticator\` names ${id}, which cannot check requests that come in`)
}

/**
 * The authenticator of requests that go out. To be asked for in `start`.
 * @throws Error naming both ids when there is none
 */
export function clientAuthenticator(context: Finder, id: string): ClientAuthenticator {
  const { client } = found(context, id)
  if (client !== undefined) return client
  throw new Error(`${context.id}: \`auth.authenticator\` names ${id}, which has nothing to add to requests that go out`)
}

function found(context: Finder, id: string): Extension {
  const extension = context.extension(id)
  if (extension !== undefined) return extension
  throw new Error(
    `${context.id}: \`auth.authenticator\` names ${id}, which is not running; configure it under \`extensions\` and list it in \`service.extensions\``,
  )
}
