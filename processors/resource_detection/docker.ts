import type { RequestOptions } from 'node:http'
import { hostname } from 'node:os'
import { messageOf } from '../../core/errors.ts'
import { type Detector, isOn, type Switches } from './detector.ts'
import { fetchJson, textAt } from './fetch-json.ts'

const onByDefault = ['host.name', 'os.type']

/** Names of the attributes that the docker detector knows. */
export const dockerAttributes: readonly string[] = [...onByDefault, 'container.name', 'container.image.name']

/** What the Docker daemon says of the host, and of the container this runs in. */
export function dockerDetector(switches: Switches, env: NodeJS.ProcessEnv): Detector {
  const wanted = (name: string): boolean => isOn(switches, name, onByDefault)
  return {
    name: 'docker',
    async detect(abort) {
      const daemon = daemonAt(env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock')
      const attributes = new Map<string, string>()
      if (wanted('host.name') || wanted('os.type')) {
        const info = await fetchJson({ ...daemon, path: '/info' }, abort)
        if (wanted('os.type')) attributes.set('os.type', textAt(info, 'OSType'))
        if (wanted('host.name')) attributes.set('host.name', textAt(info, 'Name'))
      }
      if (!wanted('container.name') && !wanted('container.image.name')) return { attributes, problem: undefined }
      try {
        // In a container the host name is the container's id, unless it was given another.
        const container = await fetchJson({ ...daemon, path: `/containers/${hostname()}/json` }, abort)
        if (wanted('container.name')) attributes.set('container.name', textAt(container, 'Name').replace(/^\//, ''))
        if (wanted('container.image.name')) {
          attributes.set('container.image.name', textAt(container, 'Config', 'Image'))
        }
        return { attributes, problem: undefined }
      } catch (error) {
        return { attributes, problem: `container ${hostname()}: ${messageOf(error)}` }
      }
    },
  }
}

function daemonAt(address: string): RequestOptions {
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length), host: 'docker' }
  const url = URL.parse(address.replace(/^tcp:/, 'http:'))
  if (url === null || url.protocol !== 'http:') {
    throw new Error(`\`DOCKER_HOST\` is \`${address}\`; only \`unix://\` and \`tcp://\` addresses are supported`)
  }
  return { host: url.hostname, port: url.port === '' ? 2375 : Number(url.port) }
}
