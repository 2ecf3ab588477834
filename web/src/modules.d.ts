declare module "*.graphql" {
  const text: string;
  export default text;
}
declare module "*.jsonc" {
  const text: string;
  export default text;
}
declare module "*.css";
interface Window {
  MonacoEnvironment?: { getWorker(moduleId: string, label: string): Worker };
}
