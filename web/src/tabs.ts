/** The tabs of a fresh page: the main job, in order. Each is checked against the schema by the tests. */
import checkStorage from "./tabs/4-check-storage.graphql";
import checkStorageVariables from "./tabs/4-check-storage.jsonc";
import createProject from "./tabs/2-create-project.graphql";
import createProjectVariables from "./tabs/2-create-project.jsonc";
import createStorage from "./tabs/3-create-storage.graphql";
import createStorageVariables from "./tabs/3-create-storage.jsonc";
import syncStorage from "./tabs/5-sync-storage.graphql";
import syncStorageVariables from "./tabs/5-sync-storage.jsonc";
import watchJob from "./tabs/6-watch-job.graphql";
import watchJobVariables from "./tabs/6-watch-job.jsonc";
import browseObjects from "./tabs/7-browse-objects.graphql";
import browseObjectsVariables from "./tabs/7-browse-objects.jsonc";
import whoAmI from "./tabs/1-who-am-i.graphql";

interface Tab {
  query: string;
  variables?: string;
}

export const defaultTabs: Tab[] = [
  { query: whoAmI },
  { query: createProject, variables: createProjectVariables },
  { query: createStorage, variables: createStorageVariables },
  { query: checkStorage, variables: checkStorageVariables },
  { query: syncStorage, variables: syncStorageVariables },
  { query: watchJob, variables: watchJobVariables },
  { query: browseObjects, variables: browseObjectsVariables },
];
