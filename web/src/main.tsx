import "./workers";
import "@graphiql/react/style.css";
import "graphiql/graphiql.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css";
import { createRoot } from "react-dom/client";
import { Page } from "./page";

const root = document.getElementById("graphiql");
if (root === null) throw new Error("The page has no element to mount in.");
createRoot(root).render(<Page />);
