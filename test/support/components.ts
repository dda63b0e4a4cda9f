/** Every component of this build, loaded. */
import { everyComponent } from '../../components.ts'

/** What the list of components has, in its order. */
export const components = await everyComponent()
